"""The BLS model in the real Triton, by plain tritonclient: NVIDIA's names, and Conch's own."""

import asyncio
import json
import math

import numpy as np
import pytest
from engine_client import Client, connected
from test_engine_model import FREED_WITHIN_S

from serving.contract.calls import Call, FinishReason, Guide, Sampling
from serving.contract.errors import from_wire
from serving.contract.wire import decode_chunk, encode_call, single, strings

HELLO = ({"role": "user", "content": "hello"},)
TURN = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
GREEDY = Sampling(temperature=0.0, max_tokens=40)
LONGISH = Sampling(temperature=0.0, max_tokens=200, min_tokens=200)
LONG = Sampling(temperature=0.0, max_tokens=800, min_tokens=800)


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


async def chunks_of(client: Client, call: Call):
    reply = await client.ask("demo", encode_call(call))
    assert (reply.error, reply.finals) == (None, 1)
    return [decode_chunk(arrays) for arrays in reply.responses]


def text_of(chunks, index=0):
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


async def refusal(client: Client, arrays):
    reply = await client.ask("demo", arrays)
    assert reply.responses == []
    assert "Traceback" not in reply.error
    assert len(reply.error) < 500
    return from_wire(reply.error)


async def hello(client: Client) -> str:
    return text_of(await chunks_of(client, Call(messages=HELLO, sampling=GREEDY)))


async def test_messages_and_their_text_get_the_same_answer(client):
    whole = await hello(client)
    assert len(whole) > 3
    assert text_of(await chunks_of(client, Call(text=TURN, sampling=GREEDY))) == whole


async def test_a_streamed_answer_is_the_same_in_pieces(client):
    chunks = await chunks_of(client, Call(messages=HELLO, sampling=GREEDY, is_streamed=True))
    assert text_of(chunks) == await hello(client)
    assert len(chunks) > 1
    last = chunks[-1]
    assert (last.finish_reason, last.usage.prompt_tokens > 5) == (FinishReason.STOP, True)
    assert min(last.timings.queue_ms, last.timings.prefill_ms, last.timings.decode_ms) >= 0


async def test_an_answer_that_is_not_streamed_is_one_response(client):
    assert len(await chunks_of(client, Call(messages=HELLO, sampling=GREEDY))) == 1


async def test_a_client_of_nvidias_model_is_served_unchanged(client):
    arrays = {
        "text_input": strings([TURN]),
        "max_tokens": single("INT32", 40),
        "stop_words": strings(["zzz", "yyy"]),
        "bad_words": np.array([[b""]], np.object_),
        "end_id": single("INT32", 2),
        "pad_id": single("INT32", 2),
        "top_k": single("INT32", 1),
        "top_p": single("FP32", 0.5),
        "temperature": single("FP32", 1.0),
        "length_penalty": single("FP32", 1.0),
        "repetition_penalty": single("FP32", 1.0),
        "min_tokens": single("INT32", 1),
        "presence_penalty": single("FP32", 0.0),
        "frequency_penalty": single("FP32", 0.0),
        "seed": single("UINT64", 0),
        "beam_width": single("INT32", 1),
        "exclude_input_in_output": single("BOOL", True),
        "return_log_probs": single("BOOL", True),
        "return_context_logits": single("BOOL", False),
        "return_generation_logits": single("BOOL", False),
        "return_perf_metrics": single("BOOL", True),
        "return_num_input_tokens": single("BOOL", True),
        "return_num_output_tokens": single("BOOL", True),
        "stream": single("BOOL", False),
    }
    reply = await client.ask("demo", arrays)
    assert (reply.error, reply.finals) == (None, 1)
    (last,) = reply.responses
    assert last["text_output"].item().decode() == await hello(client)
    log_probs = last["output_log_probs"].reshape(-1)
    assert len(log_probs) in (
        last["num_output_tokens"].item(),
        last["num_output_tokens"].item() - 1,
    )
    assert last["cum_log_probs"].item() <= sum(log_probs) + 1e-3
    assert last["num_input_tokens"].item() > 5
    assert last["arrival_time_ns"].item() <= last["last_token_time_ns"].item()


async def test_bad_words_are_refused_by_the_callers_name(client):
    arrays = {"text_input": strings([TURN]), "bad_words": strings(["sea"])}
    assert (await refusal(client, arrays)).param == "bad_words"


async def test_a_stop_string_inside_the_answer_cuts_it(client):
    whole = await hello(client)
    stop = whole[2:5]
    for is_streamed in (False, True):
        sampling = Sampling(temperature=0.0, max_tokens=40, stop=(stop,))
        call = Call(messages=HELLO, sampling=sampling, is_streamed=is_streamed, has_logprobs=True)
        chunks = await chunks_of(client, call)
        assert text_of(chunks) == whole[: whole.index(stop)]
        assert chunks[-1].finish_reason is FinishReason.STOP
        data = b"".join(token.data for chunk in chunks for token in chunk.logprobs)
        assert whole[: whole.index(stop)].encode().startswith(data)


async def test_logprobs_belong_to_the_text(client):
    call = Call(messages=HELLO, sampling=GREEDY, is_streamed=True, has_logprobs=True)
    chunks = await chunks_of(client, call)
    tokens = [token for chunk in chunks for token in chunk.logprobs]
    assert b"".join(token.data for token in tokens).decode() == text_of(chunks)
    assert all(token.logprob <= 0 for token in tokens)


async def test_the_prompt_is_echoed_when_asked_for(client):
    for is_streamed in (False, True):
        call = Call(text=TURN, sampling=GREEDY, is_echoed=True, is_streamed=is_streamed)
        assert text_of(await chunks_of(client, call)) == TURN + await hello(client)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_several_answers_differ_and_a_seed_repeats_them(client, is_streamed):
    sampling = Sampling(temperature=1.5, max_tokens=20, seed=5)
    call = Call(messages=HELLO, sampling=sampling, n=3, is_streamed=is_streamed)
    first, again = [await chunks_of(client, call) for _ in range(2)]
    texts = [text_of(first, index) for index in range(3)]
    assert len(set(texts)) > 1
    assert texts == [text_of(again, index) for index in range(3)]
    assert [chunk.finish_reason is not None for chunk in first].count(True) == 3


async def test_as_many_tokens_as_asked_for_is_the_length(client):
    (chunk,) = await chunks_of(client, Call(messages=HELLO, sampling=Sampling(max_tokens=2)))
    assert (chunk.finish_reason, chunk.usage.completion_tokens) == (FinishReason.LENGTH, 2)


async def test_a_deadline_ends_the_request_with_its_own_error(client):
    call = Call(messages=HELLO, sampling=LONG, deadline_ms=60)
    error = await refusal(client, encode_call(call))
    assert (error.code, "60" in error.message) == ("expired", True)
    assert await client.until(lambda: client.running() == 0) <= FREED_WITHIN_S


async def test_a_prompt_too_long_is_refused_with_both_numbers(client):
    error = await refusal(client, encode_call(Call(input_ids=(300,) * 5000)))
    assert error.code == "context_length_exceeded"
    assert "5000" in error.message


REFUSED = {
    "no prompt": ({"max_tokens": single("INT32", 3)}, None),
    "two prompts": ({"text_input": strings(["a"]), "messages": strings(["[]"])}, None),
    "not JSON": ({"messages": strings(["{"])}, "messages"),
    "no list": ({"messages": strings(["{}"])}, "messages"),
    "odd role": ({"messages": strings(['[{"role": "x", "content": "a"}]'])}, "messages"),
    "odd content": ({"messages": strings(['[{"role": "user", "content": 7}]'])}, "messages"),
    "no UTF-8": ({"text_input": np.array([[b"\xff\xfe"]], np.object_)}, "text_input"),
    "NaN": ({"text_input": strings(["a"]), "temperature": single("FP32", math.nan)}, "temperature"),
    "top_p": ({"text_input": strings(["a"]), "top_p": single("FP32", 2.0)}, "top_p"),
    "top_k": ({"text_input": strings(["a"]), "top_k": single("INT32", -4)}, "top_k"),
    "beams": ({"text_input": strings(["a"]), "beam_width": single("INT32", 4)}, "beam_width"),
    "n": (
        {"text_input": strings(["a"]), "num_return_sequences": single("INT32", 1000)},
        "num_return_sequences",
    ),
    "max_tokens": ({"text_input": strings(["a"]), "max_tokens": single("INT32", -1)}, "max_tokens"),
    "format": (
        {"text_input": strings(["a"]), "response_format": strings(["{}"])},
        "response_format",
    ),
    "guide": (
        {
            "text_input": strings(["a"]),
            "guided_decoding_guide_type": strings(["regex"]),
            "guided_decoding_guide": strings(["(((("]),
        },
        "response_format",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_a_mistake_is_told_shortly_and_by_name(client, name):
    arrays, param = REFUSED[name]
    error = await refusal(client, arrays)
    assert error.status == 400
    assert param is None or error.param == param


async def test_answers_run_together_in_flight(client):
    calls = [Call(messages=HELLO, sampling=LONGISH, is_streamed=True)] * 32
    tasks = [asyncio.create_task(chunks_of(client, call)) for call in calls]
    gauges = "conch_engine_running/demo_engine", "conch_requests_running/demo"
    await client.until(lambda: min(client.metrics()[name] for name in gauges) >= 16)
    replies = await asyncio.gather(*tasks)
    assert all(chunks[-1].usage.completion_tokens == 200 for chunks in replies)


async def test_an_error_of_one_touches_none_of_the_others(client):
    good = [
        asyncio.create_task(
            chunks_of(client, Call(messages=HELLO, sampling=LONG, is_streamed=True))
        )
        for _ in range(4)
    ]
    await client.until(lambda: client.running() >= 1)
    for name in sorted(REFUSED):
        await refusal(client, REFUSED[name][0])
    for chunks in await asyncio.gather(*good):
        assert chunks[-1].usage.completion_tokens == 800


# Constants: between other parts JSON may have any white space, and a toy model writes only that.
SCHEMA = {"enum": [{"color": "red", "ok": True}, {"color": "blue", "ok": False}, ["sea"]]}


async def test_a_json_schema_shapes_the_answer(client):
    response_format = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    arrays = encode_call(Call(messages=HELLO, sampling=GREEDY))
    arrays["response_format"] = strings([json.dumps(response_format)])
    reply = await client.ask("demo", arrays)
    chunk = decode_chunk(reply.responses[0])
    assert json.loads(chunk.text) in SCHEMA["enum"]
    assert chunk.finish_reason is FinishReason.STOP


async def test_a_json_object_begins_as_one(client):
    arrays = encode_call(Call(messages=HELLO, sampling=GREEDY))
    arrays["response_format"] = strings(['{"type": "json_object"}'])
    reply = await client.ask("demo", arrays)
    assert decode_chunk(reply.responses[0]).text.startswith("{")


async def test_a_regex_shapes_every_streamed_answer(client):
    sampling = Sampling(max_tokens=50, temperature=1.0)
    guide = Guide("regex", "(yes|no), (red|blue)")
    call = Call(messages=HELLO, sampling=sampling, guide=guide, n=3, is_streamed=True)
    chunks = await chunks_of(client, call)
    texts = {text_of(chunks, index) for index in range(3)}
    assert texts <= {"yes, red", "yes, blue", "no, red", "no, blue"}


COUNTED = {
    "conch_ttft_ms_count": 1,
    "conch_queue_ms_count": 1,
    "conch_request_ms_count": 1,
    "conch_prompt_tokens_total": 12,
    "conch_completion_tokens_total": 3,
}


def is_idle(metrics):
    return metrics["conch_requests_running/demo"] == metrics["conch_requests_waiting/demo"] == 0


async def test_what_happens_is_counted(client):
    before = client.metrics()
    call = Call(input_ids=(300,) * 12, sampling=Sampling(max_tokens=3, end_id=7), is_streamed=True)
    await chunks_of(client, call)
    after = client.metrics()
    for name, more in COUNTED.items():
        assert after[f"{name}/demo"] - before.get(f"{name}/demo", 0) == more, name
    assert "conch_inter_token_ms_count/demo" in after
    # The place in the engine is given back right after the last chunk has been sent.
    await client.until(lambda: is_idle(client.metrics()))


async def test_a_hang_up_and_an_error_are_counted(client):
    before = client.metrics()
    stream = client.stream("demo", encode_call(Call(messages=HELLO, sampling=LONG, n=8)))
    reader = asyncio.create_task(anext(aiter(stream)))
    await client.until(lambda: client.running() >= 1)
    stream.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await refusal(client, {"max_tokens": single("INT32", 3)})
    await client.until(
        lambda: (
            client.metrics()["conch_cancellations_total/demo"]
            == before.get("conch_cancellations_total/demo", 0) + 1
        )
    )
    errors = client.metrics()["conch_errors_total/demo"]
    assert errors == before.get("conch_errors_total/demo", 0) + 1


@pytest.mark.parametrize("tokens_first", [0, 3])
async def test_hanging_up_32_clients_frees_the_engine(client, tokens_first):
    call = Call(messages=HELLO, sampling=LONG, is_streamed=True)
    streams = [client.stream("demo", encode_call(call)) for _ in range(32)]
    got = [0] * len(streams)

    async def read(place: int) -> None:
        async for _ in streams[place]:
            got[place] += 1

    readers = [asyncio.create_task(read(place)) for place in range(32)]
    if tokens_first:
        await client.until(lambda: min(got) >= tokens_first)
    else:
        await client.until(lambda: client.running() >= 1)
    for stream in streams:
        stream.cancel()
    is_free = {"conch_engine_running/demo_engine", "conch_engine_waiting/demo_engine"}
    is_free |= {"conch_requests_running/demo", "conch_requests_waiting/demo"}
    freed_s = await client.until(lambda: not any(client.metrics()[name] for name in is_free))
    assert freed_s <= FREED_WITHIN_S
    await asyncio.gather(*readers, return_exceptions=True)
    assert await hello(client) != ""
