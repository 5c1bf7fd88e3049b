"""Answers have the shape that OpenAI's clients parse, by the fast path and by the slow one."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.api.chat import ChatReply
from gateway.api.choices import gather
from gateway.api.completions import CompletionReply
from gateway.ask import Ask
from gateway.pipeline import Answer
from gateway.stages.route import Model
from gateway.tally import Tally
from serving.contract.calls import Call, Chunk, FinishReason, TokenLogprob, Usage

TRICKY = 'a"\n\\é漢🐚\u2028\x00 </script>'
STOP = FinishReason.STOP


async def _stream(chunks: Iterable[Chunk]) -> Any:
    for chunk in chunks:
        yield chunk


def answer(
    *chunks: Chunk, n: int = 1, has_usage_event: bool = False, has_logprobs: bool = False
) -> Answer:
    call = Call(text="x", n=n, is_streamed=True, has_logprobs=has_logprobs)
    ask = Ask("m", (call,), is_streamed=True, has_usage_event=has_usage_event)
    return Answer(ask, Model("m", 1), Tally(n), _stream(chunks))


def payloads(data: bytes) -> list[dict[str, Any]]:
    assert data == b"" or data.endswith(b"\n\n")
    return [orjson.loads(line.removeprefix(b"data: ")) for line in data.split(b"\n\n") if line]


def scored(text: str, logprob: float = -0.5) -> tuple[TokenLogprob, ...]:
    return (TokenLogprob(1, text.encode(), logprob),)


def test_chat_stream_says_role_text_and_reason_in_turn() -> None:
    reply = ChatReply(answer())
    chunks = [Chunk(text=TRICKY), Chunk(text="b"), Chunk(text="c", finish_reason=STOP)]
    events = payloads(b"".join(reply.events(chunk) for chunk in chunks))
    parsed = [ChatCompletionChunk.model_validate(event, strict=True) for event in events]
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": TRICKY},
        {"content": "b"},
        {"content": "c"},
        {},
    ]
    assert [event.choices[0].finish_reason for event in parsed] == [None] * 4 + ["stop"]
    assert len({event.id for event in parsed}) == 1


def test_fast_and_slow_path_make_the_same_keys() -> None:
    reply = ChatReply(answer(has_logprobs=True))
    reply.events(Chunk(text="first"))
    (fast,) = payloads(reply.events(Chunk(text="x")))
    (slow,) = payloads(reply.events(Chunk(text="x", logprobs=scored("x"))))
    assert slow["choices"][0].pop("logprobs") is not None
    assert fast["choices"][0].pop("logprobs") is None
    assert fast == slow


def test_every_choice_has_its_own_role_event() -> None:
    reply = ChatReply(answer(n=2))
    events = payloads(b"".join(reply.events(Chunk(index=i, text="x")) for i in (1, 0, 1)))
    said = [(c["index"], "role" in c["delta"]) for e in events for c in e["choices"]]
    assert said == [(1, True), (1, False), (0, True), (0, False), (1, False)]


@pytest.mark.parametrize("family", [ChatReply, CompletionReply])
def test_chunk_without_text_makes_no_event(family: Any) -> None:
    reply = family(answer())
    reply.events(Chunk(text="x"))
    assert reply.events(Chunk()) == b""


@pytest.mark.parametrize("family", [ChatReply, CompletionReply])
def test_usage_is_null_until_its_own_event(family: Any) -> None:
    reply = family(answer(has_usage_event=True))
    first = payloads(reply.events(Chunk(text="x")))
    assert all(event["usage"] is None for event in first)
    tally = Tally()
    tally.add(Chunk(usage=Usage(3, 4, cached_tokens=2)))
    (last,) = payloads(reply.usage_event(tally))
    assert last["choices"] == []
    assert last["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
    }


@pytest.mark.parametrize("family", [ChatReply, CompletionReply])
def test_no_usage_key_unless_it_was_asked_for(family: Any) -> None:
    assert all("usage" not in event for event in payloads(family(answer()).events(Chunk(text="x"))))


async def test_whole_chat_answer_joins_each_choice() -> None:
    chunks = [
        Chunk(index=1, text="B", logprobs=scored("B")),
        Chunk(index=0, text="A"),
        Chunk(index=1, text="b", finish_reason=STOP),
        Chunk(index=0, text="a", finish_reason=FinishReason.LENGTH),
    ]
    given = answer(*chunks, n=2, has_logprobs=True)
    body = ChatReply(given).whole(await gather(given.chunks), Tally(2))
    parsed = ChatCompletion.model_validate_json(body)
    assert [c.message.content for c in parsed.choices] == ["Aa", "Bb"]
    assert [c.finish_reason for c in parsed.choices] == ["length", "stop"]
    assert parsed.choices[1].logprobs is not None
    (token,) = parsed.choices[1].logprobs.content or []
    assert (token.token, token.bytes, token.logprob) == ("B", [66], -0.5)


async def test_logprobs_are_an_object_only_when_asked_for() -> None:
    given = answer(Chunk(text="", finish_reason=STOP), has_logprobs=True)
    choices = await gather(given.chunks)
    whole = orjson.loads(ChatReply(given).whole(choices, Tally()))
    assert whole["choices"][0]["logprobs"] == {"content": [], "refusal": None}
    whole = orjson.loads(ChatReply(answer()).whole(choices, Tally()))
    assert whole["choices"][0]["logprobs"] is None


def test_completion_stream_counts_offsets_from_the_start_of_its_choice() -> None:
    reply = CompletionReply(answer(has_logprobs=True))
    chunks = [Chunk(text=t, logprobs=scored(t)) for t in ("ab", "cde", "f")]
    events = payloads(b"".join(reply.events(chunk) for chunk in chunks))
    offsets = [event["choices"][0]["logprobs"]["text_offset"] for event in events]
    assert offsets == [[0], [2], [5]]


async def test_whole_completion_is_one_object() -> None:
    given = answer(
        Chunk(text="ab", logprobs=scored("a") + scored("b")),
        Chunk(text="", finish_reason=STOP),
        has_logprobs=True,
    )
    body = CompletionReply(given).whole(await gather(given.chunks), Tally())
    (choice,) = Completion.model_validate_json(body).choices
    assert (choice.text, choice.finish_reason) == ("ab", "stop")
    assert choice.logprobs is not None
    assert (choice.logprobs.tokens, choice.logprobs.text_offset) == (["a", "b"], [0, 1])


def test_bytes_that_are_no_character_alone_are_told_as_bytes() -> None:
    reply = ChatReply(answer(has_logprobs=True))
    chunk = Chunk(text="", logprobs=(TokenLogprob(1, b"\xf0\x9f", -1.0),))
    event = payloads(reply.events(chunk))[-1]
    (token,) = event["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["bytes"]) == ("\ufffd", [0xF0, 0x9F])
