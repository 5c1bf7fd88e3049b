"""A stream of the engine can be left at any moment, and is then ended in the engine."""

import asyncio
import time
from contextlib import aclosing

import pytest
from streams import ScriptedEngine, response, saying, until_stopped

from serving.bls.engine import Engine
from serving.contract.errors import EngineFailed, InvalidRequest, UnsupportedParameter

OUTPUTS = ("output_ids",)


def engine_of(infer):
    return Engine("m_engine", infer)


async def all_of(engine, request_id="r"):
    async with engine.stream({}, OUTPUTS, request_id=request_id) as stream:
        return [tokens async for tokens in stream]


async def test_every_token_comes_once_and_in_order():
    made = await all_of(engine_of(ScriptedEngine(saying(range(500)))))
    assert [i for tokens in made for i in tokens.ids] == list(range(500))
    assert made[-1].times is not None


async def test_leaving_early_ends_it_in_the_engine_before_going_on():
    infer = ScriptedEngine(until_stopped(7))
    async with engine_of(infer).stream({}, OUTPUTS, request_id="r") as stream:
        async for _ in stream:
            break
    assert infer.open == {}
    assert set(infer.stops) == {"r"}


async def test_leaving_before_the_first_token_ends_it_too():
    infer = ScriptedEngine(until_stopped(7, pause_s=1.0))
    async with engine_of(infer).stream({}, OUTPUTS, request_id="r"):
        pass
    assert infer.open == {}


async def test_a_stop_that_fails_holds_nothing_up():
    inner = ScriptedEngine(until_stopped(7))

    async def infer(model, arrays, outputs, *, request_id):
        if "stop" in arrays:
            raise EngineFailed("no stop today")
        async with aclosing(inner(model, arrays, outputs, request_id=request_id)) as responses:
            async for made in responses:
                yield made

    async with engine_of(infer).stream({}, OUTPUTS, request_id="r") as stream:
        await anext(stream)
    assert (inner.begun, inner.open) == (1, {})


async def test_a_stream_read_to_its_end_needs_no_stop():
    infer = ScriptedEngine(saying([1, 2]))
    assert len(await all_of(engine_of(infer))) > 0
    assert infer.stops == []


async def test_cancelling_ends_it_in_the_engine():
    infer = ScriptedEngine(until_stopped(7))
    task = asyncio.create_task(all_of(engine_of(infer)))
    while not infer.open:
        await asyncio.sleep(0.001)
    started_s = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert infer.open == {}
    assert time.monotonic() - started_s < 0.25


async def test_cancelling_again_and_again_still_waits_for_the_stop():
    inner = ScriptedEngine(until_stopped(7))
    stopped = []

    async def infer(model, arrays, outputs, *, request_id):
        async with aclosing(inner(model, arrays, outputs, request_id=request_id)) as responses:
            async for made in responses:
                yield made
        if "stop" in arrays:
            await asyncio.sleep(0.05)
            stopped.append(request_id)

    task = asyncio.create_task(all_of(engine_of(infer)))
    while not inner.open:
        await asyncio.sleep(0.001)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.001)
    assert task.cancelled()
    assert (stopped, inner.open) == (["r"], {})


async def test_streams_run_side_by_side():
    infer = ScriptedEngine(until_stopped(7))
    engine = engine_of(infer)
    tasks = [asyncio.create_task(all_of(engine, f"r{i}")) for i in range(16)]
    while len(infer.open) < 16:
        await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert infer.open == {}
    assert infer.most_open == 16


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_an_error_comes_after_the_tokens_before_it(after):
    def script(stream):
        for i in range(after):
            yield response([i])
        raise EngineFailed("broken")

    made = []
    with pytest.raises(EngineFailed, match="broken"):
        async with engine_of(ScriptedEngine(script)).stream({}, OUTPUTS, request_id="r") as stream:
            made += [tokens async for tokens in stream]
    assert made == [] or [i for tokens in made for i in tokens.ids] == list(range(after))


async def test_tokens_before_an_error_are_not_lost():
    def script(stream):
        yield response([1])
        yield response([2])
        raise EngineFailed("broken")

    made = []

    async def read():
        async with engine_of(ScriptedEngine(script)).stream({}, OUTPUTS, request_id="r") as stream:
            async for tokens in stream:
                made.extend(tokens.ids)

    with pytest.raises(EngineFailed):
        await read()
    assert made == [1, 2]


async def test_a_call_that_fails_before_its_first_response_is_an_error_not_a_hang():
    def infer(model, arrays, outputs, *, request_id):
        raise EngineFailed("no such model")

    with pytest.raises(EngineFailed, match="no such model"):
        await asyncio.wait_for(all_of(engine_of(infer)), 2)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("runtime_top_p", "top_p"),
        ("runtime_top_k", "top_k"),
        ("request_output_len", "max_tokens"),
        ("bad_words_list", "bad_words"),
        ("temperature", "temperature"),
    ],
)
async def test_a_refusal_of_the_engine_has_the_callers_name_for_the_tensor(theirs, ours):
    def script(stream):
        raise UnsupportedParameter(f"'{theirs}' is 7", param=theirs)
        yield

    with pytest.raises(InvalidRequest, match=f"^'{ours}' is 7$") as refused:
        await all_of(engine_of(ScriptedEngine(script)))
    assert (type(refused.value), refused.value.param) == (UnsupportedParameter, ours)
