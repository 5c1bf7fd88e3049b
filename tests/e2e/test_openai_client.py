"""The official `openai` client against the whole stack: what it can ask, and what it is told."""

import json

import openai
import pytest
from openai import AsyncOpenAI

HELLO = [{"role": "user", "content": "Hello!"}]


async def test_models_are_the_ones_that_answer(client, stack):
    models = [model async for model in client.models.list()]
    bases = [(model.id, model.owned_by) for model in models if model.parent is None]
    assert bases == [(stack.model, "conch"), ("embedding", "conch")]
    assert (await client.models.retrieve("embedding")).root == "embedding"
    assert (await client.models.retrieve(stack.model)).created == models[0].created


async def test_chat_answers_whole(client, stack):
    answer = await client.chat.completions.create(model=stack.model, messages=HELLO)
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason == "stop"
    usage = answer.usage
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_chat_stream_says_what_the_whole_answer_says(client, stack):
    asked = {"model": stack.model, "messages": HELLO, "temperature": 0}
    whole = (await client.chat.completions.create(**asked)).choices[0].message.content
    stream = await client.chat.completions.create(**asked, stream=True)
    deltas = [chunk.choices[0].delta async for chunk in stream]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == whole


async def test_stream_ends_with_reason_and_usage(client, stack):
    stream = await client.chat.completions.create(
        model=stack.model,
        messages=HELLO,
        stream=True,
        max_tokens=3,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices]
    assert [reason for reason in reasons if reason] == ["length"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 3
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_n_answers_have_their_own_index(client, stack):
    answer = await client.chat.completions.create(
        model=stack.model, messages=HELLO, n=3, max_tokens=4, seed=1
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    stream = await client.chat.completions.create(
        model=stack.model, messages=HELLO, n=3, max_tokens=4, stream=True
    )
    ended = [c.index async for chunk in stream for c in chunk.choices if c.finish_reason]
    assert sorted(ended) == [0, 1, 2]


async def test_logprobs_are_those_of_the_chosen_tokens(client, stack):
    answer = await client.chat.completions.create(
        model=stack.model, messages=HELLO, logprobs=True, max_tokens=5, temperature=0
    )
    tokens = answer.choices[0].logprobs.content
    assert 1 <= len(tokens) <= 5
    assert all(token.logprob <= 0 for token in tokens)
    text = b"".join(bytes(token.bytes) for token in tokens).decode()
    assert text == answer.choices[0].message.content


async def test_stop_string_ends_the_answer_and_is_not_shown(client, stack):
    asked = {"model": stack.model, "prompt": "one two", "temperature": 0, "max_tokens": 20}
    whole = (await client.completions.create(**asked)).choices[0].text
    stop = whole[5:8]
    answer = (await client.completions.create(**asked, stop=[stop])).choices[0]
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish_reason == "stop"


async def test_json_schema_is_followed(client, stack):
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    answer = await client.chat.completions.create(
        model=stack.model,
        messages=HELLO,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    content = answer.choices[0].message.content
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(content)["ok"], bool)
    else:
        assert content.lstrip().startswith("{")


async def test_lists_of_prompts_answer_in_order(client, stack):
    answer = await client.completions.create(
        model=stack.model, prompt=["a", "b", "c"], n=2, echo=True, max_tokens=2
    )
    assert [choice.index for choice in answer.choices] == list(range(6))
    assert [choice.text[0] for choice in answer.choices] == ["a", "a", "b", "b", "c", "c"]
    assert answer.usage.completion_tokens == 12


async def test_token_ids_are_a_prompt(client, stack):
    answer = await client.completions.create(
        model=stack.model, prompt=[[5, 6, 7], [8]], max_tokens=2, logprobs=0
    )
    assert answer.usage.prompt_tokens == 4
    first = answer.choices[0]
    assert len(first.logprobs.tokens) == len(first.logprobs.token_logprobs)


async def test_one_wrong_prompt_refuses_all_of_them(client, stack):
    with pytest.raises(openai.BadRequestError) as caught:
        await client.completions.create(model=stack.model, prompt=[[5], [10_000_000], [6]])
    assert caught.value.param == "prompt"


async def test_same_seed_same_answer(client, stack):
    asked = {"model": stack.model, "messages": HELLO, "seed": -7, "temperature": 1.5, "n": 1}
    answers = [await client.chat.completions.create(**asked) for _ in range(2)]
    assert len({answer.choices[0].message.content for answer in answers}) == 1


@pytest.mark.parametrize(
    ("change", "error", "code", "param"),
    [
        ({"model": "no-such"}, openai.NotFoundError, "model_not_found", "model"),
        ({"max_tokens": 100_000}, openai.BadRequestError, "context_length_exceeded", "max_tokens"),
        ({"temperature": 3}, openai.BadRequestError, "invalid_request", "temperature"),
        ({"top_logprobs": 2}, openai.BadRequestError, "unsupported_parameter", "top_logprobs"),
        ({"logit_bias": {"1": 1}}, openai.BadRequestError, "unsupported_parameter", "logit_bias"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_refusal_has_its_status_code_and_parameter(
    client, stack, change, error, code, param, is_streamed
):
    asked = {"model": stack.model, "messages": HELLO, "stream": is_streamed, **change}
    with pytest.raises(error) as caught:
        await client.chat.completions.create(**asked)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id


async def test_wrong_key_is_refused(stack):
    async with AsyncOpenAI(base_url=stack.base_url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            await stranger.models.list()
    assert caught.value.code == "invalid_api_key"
