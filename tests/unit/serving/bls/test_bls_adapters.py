"""The pool over an engine with a LoRA cache: weights go once, misses heal, a full cache refuses."""

import asyncio
import random
from collections import OrderedDict
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lora_engine import World, adapter
from streams import response, saying, until_stopped

from serving.bls.adapter_keeper import keep_warm
from serving.contract.errors import AdaptersBusy, EngineFailed

TOKENS = [5, 6, 7]


@pytest.fixture
def world():
    made = World(saying(TOKENS))
    yield made
    made.assert_free()


async def streams(world, adapters):
    """Begins a stream of each that goes on until it is left; past their first tokens."""
    tasks = [asyncio.create_task(world.ids(each)) for each in adapters]
    async with asyncio.timeout(5):
        while len(world.infer.open) < len(tasks):
            await asyncio.sleep(0.001)
        while not all(world.mirror.is_resident(each.task_id) for each in adapters):
            await asyncio.sleep(0.001)
    return tasks


async def left(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_weights_go_with_the_first_request_only(world):
    for _ in range(3):
        assert await world.ids(adapter(1)) == TOKENS
    assert world.infer.sent == [(1, True), (1, False), (1, False)]
    assert (world.count("misses", 1), world.count("hits", 1)) == (1, 2)
    assert world.families.values["conch_adapters_resident"] == 1


async def test_first_requests_that_come_together_send_them_once(world):
    answers = await asyncio.gather(*(world.ids(adapter(1)) for _ in range(20)))
    assert answers == [TOKENS] * 20
    assert world.infer.weights_of(1) == 1


async def test_an_adapter_that_was_lost_is_sent_again_and_nobody_notices(world):
    await world.ids(adapter(1))
    world.infer.restart()
    assert await world.ids(adapter(1)) == TOKENS
    assert world.infer.sent[1:] == [(1, False), (1, True)]
    assert (world.count("reloads", 1), world.count("misses", 1)) == (1, 2)


async def test_many_that_miss_together_send_them_once(world):
    await world.ids(adapter(1))
    world.infer.restart()
    answers = await asyncio.gather(*(world.ids(adapter(1)) for _ in range(20)))
    assert answers == [TOKENS] * 20
    assert world.infer.weights_of(1) == 2
    assert world.count("reloads", 1) == 1


async def test_when_the_first_fails_another_brings_the_weights():
    def script(stream):
        if stream.number == 1:
            raise EngineFailed("broken")
        yield from saying(TOKENS)(stream)

    world = World(script)
    first, *others = await asyncio.gather(
        *(world.ids(adapter(1)) for _ in range(3)), return_exceptions=True
    )
    assert (str(first), others) == ("broken", [TOKENS] * 2)
    world.assert_free()


async def test_when_the_first_is_cancelled_another_brings_the_weights():
    def script(stream):
        if stream.number == 1:
            stream.is_stopped.wait(5)
        yield from saying(TOKENS)(stream)

    world = World(script)
    first = asyncio.create_task(world.ids(adapter(1)))
    while not world.infer.open:
        await asyncio.sleep(0.001)
    second = asyncio.create_task(world.ids(adapter(1)))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == TOKENS
    world.assert_free()


async def test_a_request_that_has_given_a_token_is_never_sent_again():
    def script(stream):
        yield response([5])
        raise EngineFailed("LoRA task 1 not found in cache. Please send LoRA weights with request")

    world = World(script)
    made = []

    async def read():
        async with world.pool.stream(adapter(1), {}, ()) as stream:
            async for tokens in stream:
                made.extend(tokens.ids)

    with pytest.raises(EngineFailed, match="not found"):
        await read()
    assert (made, world.infer.begun) == ([5], 1)
    world.assert_free()


async def test_an_engine_that_misses_what_it_was_sent_is_not_asked_for_ever():
    def script(stream):
        raise EngineFailed("LoRA task 1 not found in cache. Please send LoRA weights with request")
        yield

    world = World(script)
    with pytest.raises(EngineFailed, match="not found"):
        await world.ids(adapter(1))
    assert world.infer.begun == 1
    world.assert_free()


async def test_a_full_cache_is_waited_for():
    world = World(until_stopped(5), wait_s=5)
    running = await streams(world, [adapter(1), adapter(2)])
    third = asyncio.create_task(world.ids(adapter(3)))
    while not world.room.waiting:
        await asyncio.sleep(0.001)
    assert world.infer.weights_of(3) == 0
    await left(running[:1])
    async with asyncio.timeout(5):
        while not world.mirror.is_resident(3):
            await asyncio.sleep(0.001)
    await left([third, *running])
    assert world.infer.evicted == [1]
    assert world.count("evictions") == 1
    world.assert_free()


async def test_a_full_cache_refuses_in_the_end_and_says_when_to_come_back():
    world = World(until_stopped(5), wait_s=0.05)
    running = await streams(world, [adapter(1), adapter(2)])
    with pytest.raises(AdaptersBusy, match="holds 2 adapters") as refused:
        await world.ids(adapter(3))
    assert refused.value.retry_after_s > 0
    await left(running)
    world.assert_free()


async def test_no_more_than_so_many_wait():
    world = World(until_stopped(5), wait_s=5, max_waiting=1)
    running = await streams(world, [adapter(1), adapter(2)])
    third = asyncio.create_task(world.ids(adapter(3)))
    while not world.room.waiting:
        await asyncio.sleep(0.001)
    with pytest.raises(AdaptersBusy):
        await world.ids(adapter(4))
    await left([third, *running])
    world.assert_free()


async def test_a_cache_that_others_fill_is_tried_again():
    world = World(saying(TOKENS), wait_s=5)
    for task in (8, 9):
        world.infer.cache.use(task, has_weights=True)
    asked = asyncio.create_task(world.ids(adapter(1)))
    while world.infer.weights_of(1) < 2:
        await asyncio.sleep(0.001)
    for _ in range(2):
        world.infer.cache.done(8)
    assert await asked == TOKENS
    world.assert_free()


async def test_a_wait_for_room_can_be_cancelled():
    world = World(until_stopped(5), wait_s=5)
    running = await streams(world, [adapter(1), adapter(2)])
    third = asyncio.create_task(world.ids(adapter(3)))
    while not world.room.waiting:
        await asyncio.sleep(0.001)
    await left([third, *running])
    world.assert_free()


async def test_a_pinned_adapter_is_used_before_it_would_be_dropped(world):
    world.pin(adapter(1, is_pinned=True))
    for task in (1, 2, 3, 4, 2):
        assert await world.ids(adapter(task)) == TOKENS
    assert world.infer.weights_of(1) == 1
    assert world.infer.evicted == [2, 3, 4]


async def test_a_pinned_adapter_that_had_to_go_is_missed():
    world = World(until_stopped(5))
    world.pin(adapter(1, is_pinned=True))
    await left(await streams(world, [adapter(1)]))
    second = await streams(world, [adapter(2)])
    world.pool.doubt.clear()
    third = await streams(world, [adapter(3)])
    assert (world.infer.evicted, world.pool.doubt.is_set()) == ([1], True)
    await left([*second, *third])
    world.assert_free()


async def test_what_is_wanted_often_is_spared_for_what_is_not(world):
    for task in (1, 1, 1, 2, 3, 2, 3):
        assert await world.ids(adapter(task)) == TOKENS
    assert world.infer.weights_of(1) == 1
    assert 1 not in world.infer.evicted


async def test_a_load_takes_its_place_before_its_first_token():
    world = World(until_stopped(5, pause_s=0.2))
    running = await streams(world, [adapter(1)])
    await left(running)
    running = await streams(world, [adapter(2)])
    third = asyncio.create_task(world.ids(adapter(3)))
    while 1 not in world.infer.evicted:
        await asyncio.sleep(0.001)
    # The engine has dropped it already, and that is known.
    assert (world.mirror.is_resident(1), world.mirror.is_resident(3)) == (False, False)
    await left([third, *running])
    world.assert_free()


async def test_pinned_adapters_are_loaded_and_loaded_again_when_they_were_lost(world):
    pinned = adapter(1, is_pinned=True)
    world.pin(pinned)
    keeper = asyncio.create_task(keep_warm(world.pool, lambda: world.pinned, pytest.fail))
    async with asyncio.timeout(5):
        while not world.mirror.is_resident(1):
            await asyncio.sleep(0.001)
        await world.ids(adapter(2))
        world.infer.restart()
        await world.ids(adapter(2))  # its miss tells that there was a restart
        while 1 not in world.infer.cache:
            await asyncio.sleep(0.001)
    await left([keeper])


async def test_a_pinned_adapter_that_cannot_be_loaded_is_told_once_and_tried_again():
    def script(stream):
        if stream.number == 1:
            raise EngineFailed("not yet")
        yield from saying(TOKENS)(stream)

    world = World(script)
    world.pin(adapter(1, is_pinned=True))
    told = []
    keeper = asyncio.create_task(keep_warm(world.pool, lambda: world.pinned, told.append))
    async with asyncio.timeout(10):
        while not world.mirror.is_resident(1):
            await asyncio.sleep(0.001)
    await left([keeper])
    assert len(told) == 1
    assert "not yet" in told[0]


def lru_hits(trace, places):
    held, hits = OrderedDict(), 0
    for task in trace:
        hits += task in held
        held[task] = None
        held.move_to_end(task)
        if len(held) > places:
            held.popitem(last=False)
    return hits


@pytest.mark.parametrize(("clients", "seed"), [(1, 1), (1, 2), (4, 3), (8, 4)])
async def test_on_a_trace_it_hits_more_often_than_plain_lru(clients, seed):
    world = World(saying([5]), places=6, wait_s=30)
    dice = random.Random(seed)
    weights = [1 / place**1.1 for place in range(1, 21)]
    trace = dice.choices(range(1, 21), weights, k=400)
    asked = []

    async def client(rest):
        for task in rest:
            asked.append(task)
            await world.ids(adapter(task))

    rest = iter(trace)
    await asyncio.gather(*(client(rest) for _ in range(clients)))
    hits = sum(world.count("hits", task) for task in range(1, 21))
    assert hits > lru_hits(asked, 6)
    assert hits + sum(world.count("misses", task) for task in range(1, 21)) == 400
    world.assert_free()


def test_names_beyond_the_first_are_counted_together():
    world = World(saying(TOKENS))
    for task in range(100):
        world.pool._metrics.hit(f"a{task}")
    assert world.count("hits", 63) == 1
    assert world.families.values["conch_adapter_hits_total/other"] == 36
    counts = world.pool.counts()
    assert (counts["hits"], len(counts["by_adapter"])) == (100, 65)


@given(
    tasks=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11)),
    delay_ms=st.floats(0, 6),
)
def test_whatever_is_cancelled_nothing_is_left(tasks, cancelled, delay_ms):
    async def scenario():
        world = World(saying(TOKENS), wait_s=5)
        running = [asyncio.create_task(world.ids(adapter(task))) for task in tasks]
        await asyncio.sleep(delay_ms / 1e3)
        await left([running[place] for place in cancelled if place < len(running)])
        done = await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 10)
        assert all(each == TOKENS or isinstance(each, asyncio.CancelledError) for each in done)
        world.assert_free()

    asyncio.run(scenario())


async def test_a_stream_can_be_left_early():
    world = World(until_stopped(5))
    async with world.pool.stream(adapter(1), {}, ()) as stream, aclosing(stream) as tokens:
        async for _ in tokens:
            break
    world.assert_free()
