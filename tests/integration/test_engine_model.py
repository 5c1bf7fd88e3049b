"""The engine model in the real Triton, by plain tritonclient: TensorRT-LLM's own contract."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest
from engine_client import PROMPT, Client, Reply, ask, connected, request, worker_of

from serving.bls.engine_tensors import word_list
from serving.contract.errors import from_wire

FREED_WITHIN_S = 0.25
# What must still run when a slow machine comes to look at it makes so many sequences.
SEQUENCES = 8
LONG = {"num_return_sequences": SEQUENCES}


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


async def test_an_answer_that_is_not_streamed_comes_whole(client):
    reply = await ask(client)
    assert (len(reply.responses), reply.finals, reply.error) == (1, 1, None)
    assert reply.responses[0]["output_ids"].shape == (1, 1, 8)
    assert reply.joined("sequence_length") == [8]


async def test_a_streamed_answer_is_the_same_in_pieces(client):
    whole, streamed = await ask(client, tokens=40), await ask(client, tokens=40, streaming=True)
    assert streamed.joined("output_ids") == whole.joined("output_ids")
    assert len(streamed.responses) > 1
    assert (streamed.finals, sum(streamed.joined("sequence_length"))) == (1, 40)


@pytest.mark.parametrize("streaming", [False, True])
async def test_rows_of_a_batch_are_answered_each_by_its_index(client, streaming):
    other = list(range(400, 416))
    alone = [(await ask(client, row)).joined("output_ids") for row in (PROMPT, other)]
    both = await ask(client, PROMPT, other, streaming=streaming)
    assert both.finals == 1
    assert [both.joined("output_ids", batch_index=row) for row in (0, 1)] == alone


@pytest.mark.parametrize("streaming", [False, True])
async def test_sequences_are_answered_each_by_its_index(client, streaming):
    sampling = {"runtime_top_p": 1.0, "temperature": 1.5, "seed": np.array([[7]], np.uint64)}
    replies = [
        await ask(client, num_return_sequences=3, streaming=streaming, **sampling) for _ in range(2)
    ]
    first, again = (
        [reply.joined("output_ids", sequence_index=index) for index in range(3)]
        for reply in replies
    )
    assert len(set(map(tuple, first))) == 3
    assert again == first
    assert [reply.finals for reply in replies] == [1, 1]


async def test_only_the_outputs_that_were_asked_for_come(client):
    arrays = request(PROMPT, return_perf_metrics=True)
    reply = await client.ask("demo_engine", arrays, outputs=("output_ids", "sequence_length"))
    assert reply.responses[0].keys() == {"output_ids", "sequence_length"}


async def test_times_and_counts_come_with_their_flags(client):
    flags = ("return_perf_metrics", "return_num_input_tokens", "return_num_output_tokens")
    reply = await ask(client, streaming=True, tokens=20, **dict.fromkeys(flags, True))
    names = ("arrival", "first_scheduled", "first_token", "last_token")
    times = [reply.joined(f"{name}_time_ns") for name in names]
    assert [len(values) for values in times] == [1] * 4
    assert times == sorted(times)
    assert sum(reply.joined("num_output_tokens")) == 20
    assert set(reply.joined("num_input_tokens")) == {16}


async def test_logprobs_come_with_their_tokens(client):
    reply = await ask(client, return_log_probs=True, streaming=True)
    values = reply.joined("output_log_probs")
    assert len(values) == 8
    assert reply.joined("cum_log_probs")[-1] == pytest.approx(sum(values), abs=1e-3)


async def test_the_input_goes_first_when_asked_for(client):
    reply = await ask(client, exclude_input_in_output=False, streaming=True)
    assert reply.joined("output_ids")[:16] == PROMPT
    assert len(reply.joined("output_ids")) == 24


async def test_stop_words_and_the_end_id_end_the_answer(client):
    free = (await ask(client)).joined("output_ids")
    stopped = await ask(client, stop_words_list=word_list([[free[2], free[3]]]))
    assert stopped.joined("output_ids") == free[:4]
    ended = await ask(client, end_id=free[3])
    assert ended.joined("output_ids") == free[: free.index(free[3]) + 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beam_width", 2),
        ("embedding_bias", np.ones((1, 4), np.float32)),
        ("bad_words_list", np.array([[[5], [1]]], np.int32)),
        ("return_context_logits", True),
        ("runtime_top_p", 2.0),
        ("temperature", float("nan")),
        ("request_output_len", 10**6),
        ("input_lengths", 17),
        ("stop_words_list", np.array([[[-3], [1]]], np.int32)),
        ("input_ids", np.full((1, 16), 10**6, np.int32)),
        ("guided_decoding_guide_type", b"yaml"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(client, name, value):
    reply = await ask(client, **{name: value})
    error = from_wire(reply.error)
    assert (error.status, reply.responses, "Traceback" in reply.error) == (400, [], False)
    assert error.param == ("input_ids" if name == "request_output_len" else name)


async def test_a_refusal_touches_no_other_request(client):
    fine = asyncio.create_task(ask(client, tokens=300, streaming=True, **LONG))
    await client.until(lambda: client.running() == SEQUENCES)
    for _ in range(20):
        assert (await ask(client, beam_width=2)).error is not None
    reply = await fine
    made = len(reply.joined("output_ids"))
    assert (reply.error, reply.finals, made) == (None, 1, 300 * SEQUENCES)


async def test_the_load_counts_what_is_not_streamed_too(client):
    tasks = [asyncio.create_task(ask(client, tokens=500, **LONG)) for _ in range(3)]
    await client.until(lambda: client.running() == 3 * SEQUENCES)
    await asyncio.gather(*tasks)


async def test_a_stop_by_the_same_id_ends_it_with_what_was_made(client):
    arrays = request(PROMPT, tokens=900, streaming=True, **LONG)
    running = asyncio.create_task(client.ask("demo_engine", arrays, "to-be-stopped"))
    await client.until(lambda: client.running() == SEQUENCES)
    stopped = await client.ask("demo_engine", request([0], stop=True), "to-be-stopped")
    assert (stopped.error, stopped.responses, stopped.finals) == (None, [], 1)
    reply = await running
    assert (reply.error, reply.finals) == (None, 1)
    assert 0 < len(reply.joined("output_ids")) < 900 * SEQUENCES


async def test_stopping_what_nobody_knows_is_fine_and_without_an_id_is_not(client):
    assert (await client.ask("demo_engine", request([0], stop=True), "unknown")).error is None
    reply = await client.ask("demo_engine", request([0], stop=True))
    assert "request ID is not provided" in reply.error


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_hangs_up_frees_the_engine(client, streaming):
    streams = [
        client.stream("demo_engine", request(PROMPT, tokens=900, streaming=streaming, **LONG))
        for _ in range(4)
    ]
    readers = [asyncio.create_task(anext(aiter(stream))) for stream in streams]
    await client.until(lambda: client.running() == 4 * SEQUENCES)
    for stream in streams:
        stream.cancel()
    assert await client.until(lambda: client.running() == 0) <= FREED_WITHIN_S
    await asyncio.gather(*readers, return_exceptions=True)


async def until_refused(client: Client, **more: Any) -> Reply:
    """The first reply with an error: a client that is done before the engine ends asks again."""
    while (reply := await ask(client, **more)).error is None:
        assert reply.finals == 1
    return reply


async def test_a_killed_engine_fails_what_ran_and_serves_again_under_load(client, stack):
    killed = worker_of(stack)
    asking = (until_refused(client, tokens=900, streaming=True, **LONG) for _ in range(3))
    tasks = [asyncio.create_task(each) for each in asking]
    await client.until(lambda: client.running() == 3 * SEQUENCES)
    killed.kill()
    for reply in await asyncio.wait_for(asyncio.gather(*tasks), 5):
        assert (from_wire(reply.error).code, reply.finals) == ("engine_failed", 0)
    started_s = time.monotonic()
    while (reply := await asyncio.wait_for(ask(client, tokens=4), 5)).error is not None:
        assert from_wire(reply.error).is_retryable
        assert time.monotonic() - started_s < 10
        await asyncio.sleep(0.002)
    assert len(reply.joined("output_ids")) == 4
    assert not killed.is_running()
