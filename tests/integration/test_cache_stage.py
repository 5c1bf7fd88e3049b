"""Answers that are given again and generations that are shared, on a real Redis."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from cache_world import LAST, SAID, Model, Process, ToldTriton, an_ask, process
from quota_world import World, a_record
from stores import folder

from gateway.stages.cache import tag
from serving.adapters.redis import connect
from serving.contract.cache import CacheMode, CacheOutcome, CacheScope, CacheWish
from serving.contract.calls import Chunk, FinishReason
from serving.contract.errors import EngineFailed
from serving.contract.policy import Settings
from serving.stack.redis import RedisServer

ALL = 100
HIT, MISS, BYPASS = CacheOutcome.HIT, CacheOutcome.MISS, CacheOutcome.BYPASS


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    with folder() as root:
        made = World(RedisServer(root / "redis", root / "r.sock"), root / "spool")
        await made.start()
        yield made
        await made.kill()


@pytest.fixture(autouse=True)
async def _empty(world: World) -> None:
    async with connect(world.settings) as redis:
        await redis.flushall()


@pytest.fixture
def triton() -> ToldTriton:
    return ToldTriton()


@pytest.fixture
async def gateway(world: World, triton: ToldTriton) -> AsyncIterator[Process]:
    async with process(world, triton) as made:
        yield made


@pytest.fixture
async def other(world: World, triton: ToldTriton, gateway: Process) -> AsyncIterator[Process]:
    """A second process, before the same model."""
    async with process(world, triton, gateway.model) as made:
        yield made


async def test_an_answer_is_given_again_in_its_pieces(gateway: Process, other: Process):
    chunks, record = await gateway.ask()
    assert (chunks, record.cache) == (SAID, MISS)
    await gateway.stored()
    for again in (gateway, other):
        chunks, record = await again.ask()
        assert (chunks, record.cache) == (SAID, HIT)
        assert dict(record.headers) == {b"x-conch-cache": b"hit", b"age": b"0"}
    assert len(gateway.model.calls) == 1
    assert gateway.model.calls[0].is_streamed
    assert (gateway.count("hits"), gateway.count("misses")) == (1, 1)
    assert gateway.count("stores", result="stored") == 1


async def test_where_it_is_off_there_is_no_trace_of_it(world: World, triton: ToldTriton):
    async with process(world, triton, settings=Settings()) as gateway:
        assert [await gateway.outcome() for _ in range(2)] == ["none", "none"]
    assert triton.asked == 0


async def test_projects_do_not_share_unless_they_are_told_to(world: World, triton: ToldTriton):
    asked: list[dict[str, Any]] = [
        {},
        {"project": "acme/api"},
        {"tenant": "rival", "project": "rival/web"},
    ]
    expected = {
        CacheScope.PROJECT: ["miss", "miss", "miss"],
        CacheScope.TENANT: ["miss", "hit", "miss"],
        CacheScope.SHARED: ["miss", "hit", "hit"],
    }
    for scope, outcomes in expected.items():
        settings = Settings(cache=CacheMode.EXACT, cache_scope=scope)
        async with process(world, triton, settings=settings) as gateway:
            assert [await gateway.outcome(an_ask(), **who) for who in asked] == outcomes


async def test_a_model_or_an_adapter_that_was_replaced_has_no_answers_yet(
    world: World, triton: ToldTriton
):
    pirate = an_ask(adapter="pirate")
    async with process(world, triton, fresh_s=0.0) as gateway:
        assert [await gateway.outcome(pirate) for _ in range(2)] == ["miss", "hit"]
        assert await gateway.outcome() == "miss"
        triton.task_id = 8
        assert await gateway.outcome(pirate) == "miss"
        assert await gateway.outcome() == "hit"
        triton.parameter = "second"
        assert [await gateway.outcome(each) for each in (pirate, an_ask())] == ["miss", "miss"]
        assert await gateway.outcome(an_ask(adapter="gone")) == "bypass"
        assert gateway.count("bypasses", reason="unknown_model") == 1


async def test_versions_are_asked_for_now_and_then(gateway: Process, triton: ToldTriton):
    await gateway.outcome()
    asked = triton.asked
    assert [await gateway.outcome() for _ in range(9)] == ["hit"] * 9
    assert triton.asked == asked


async def test_an_answer_of_a_model_that_was_replaced_meanwhile_is_not_kept(
    gateway: Process, triton: ToldTriton
):
    gateway.model.go.clear()
    async with gateway.asked(an_ask(), a_record()) as chunks:
        await anext(chunks)
        triton.parameter = "second"
        gateway.model.go.set()
        assert [chunk async for chunk in chunks] == SAID[1:]
    await gateway.stored()
    assert gateway.count("stores", result="changed") == 1


async def test_what_clients_say_counts(gateway: Process):
    assert await gateway.outcome(an_ask(temperature=0.7)) == "bypass"
    allowed = an_ask(temperature=0.7, cache=CacheWish(is_allowed=True))
    assert [await gateway.outcome(allowed) for _ in range(2)] == ["miss", "hit"]
    assert await gateway.outcome() == "miss"
    assert await gateway.outcome(an_ask(cache=CacheWish(is_kept=False))) == "bypass"
    assert await gateway.outcome(an_ask(cache=CacheWish(max_age_s=60))) == "hit"
    assert await gateway.outcome(an_ask(cache=CacheWish(max_age_s=0))) == "miss"
    assert len(gateway.model.calls) == 5


async def test_a_new_answer_takes_the_place_of_the_old_one(gateway: Process):
    await gateway.outcome()
    gateway.model.said = [Chunk(text="new"), LAST]
    assert await gateway.outcome(an_ask(cache=CacheWish(max_age_s=0))) == "miss"
    chunks, _ = await gateway.ask()
    assert chunks[0].text == "new"


@pytest.mark.parametrize(
    "said",
    [
        [Chunk(text="a"), Chunk(finish_reason=FinishReason.CONTENT_FILTER)],
        [Chunk(text="a"), Chunk(finish_reason=FinishReason.CANCELLED)],
        [Chunk(text="a")],
    ],
)
async def test_what_is_not_a_whole_good_answer_is_not_kept(gateway: Process, said: Any):
    gateway.model.said = said
    assert [await gateway.outcome() for _ in range(2)] == ["miss", "miss"]
    assert gateway.count("stores", result="unfit") == 2


async def test_a_long_answer_is_not_kept(world: World, triton: ToldTriton):
    settings = Settings(cache=CacheMode.EXACT, cache_max_bytes=1024)
    model = Model([Chunk(text=os.urandom(2000).hex()), LAST])
    async with process(world, triton, model, settings=settings) as gateway:
        assert [await gateway.outcome() for _ in range(2)] == ["miss", "miss"]
        assert gateway.count("stores", result="too_large") == 2


async def test_a_failure_is_everybodys_and_nobody_remembers_it(gateway: Process):
    gateway.model.said = [Chunk(text="a"), EngineFailed("broken")]
    asked = [gateway.ask() for _ in range(3)]
    failures = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(failure) for failure in failures] == [EngineFailed] * 3
    assert len(gateway.model.calls) == 1
    gateway.model.said = SAID
    began_s = time.monotonic()
    assert await gateway.outcome() == "miss"
    assert time.monotonic() - began_s < 1  # the leave to make it was given back


async def test_many_equal_requests_at_once_are_one_generation(gateway: Process, other: Process):
    gateway.model.go.clear()
    asked = [asyncio.create_task(each.ask()) for _ in range(ALL // 2) for each in (gateway, other)]
    async with asyncio.timeout(5):
        while gateway.count("joins") + other.count("joins") < ALL - 2:
            await asyncio.sleep(0.005)
    gateway.model.go.set()
    answers = await asyncio.gather(*asked)
    assert len(gateway.model.calls) == 1
    assert all(chunks == SAID for chunks, _ in answers)
    outcomes = [record.cache for _, record in answers]
    assert (outcomes.count(MISS), outcomes.count(HIT)) == (1, ALL - 1)


async def test_who_comes_late_gets_all_of_it(gateway: Process):
    gateway.model.go.clear()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(gateway.asked(an_ask(), a_record()))
        assert await anext(first) == SAID[0]
        second = await stack.enter_async_context(gateway.asked(an_ask(), a_record()))
        gateway.model.go.set()
        assert [chunk async for chunk in second] == SAID
        assert [chunk async for chunk in first] == SAID[1:]
    assert len(gateway.model.calls) == 1


async def test_others_get_their_answer_when_the_first_hangs_up_and_the_next_one_pays(
    gateway: Process,
):
    gateway.model.go.clear()
    first, second, third = a_record(), a_record(), a_record()
    async with AsyncExitStack() as stack:
        leaving = AsyncExitStack()
        await anext(await leaving.enter_async_context(gateway.asked(an_ask(), first)))
        left = [
            await stack.enter_async_context(gateway.asked(an_ask(), each))
            for each in (second, third)
        ]
        assert (first.cache, second.cache, third.cache) == (MISS, HIT, HIT)
        await leaving.aclose()
        assert gateway.model.running == 1
        gateway.model.go.set()
        for chunks in left:
            assert [chunk async for chunk in chunks] == SAID
    assert (first.cache, second.cache, third.cache) == (MISS, MISS, HIT)
    await gateway.stored()
    assert await gateway.outcome() == "hit"


async def test_a_generation_ends_when_the_last_one_leaves(gateway: Process):
    gateway.model.go.clear()
    async with gateway.asked(an_ask(), a_record()) as first:
        async with gateway.asked(an_ask(), a_record()):
            await anext(first)
        assert gateway.model.running == 1
    async with asyncio.timeout(5):
        while gateway.model.running:
            await asyncio.sleep(0.005)
    gateway.model.go.set()
    assert await gateway.outcome() == "miss"


async def test_classes_and_times_of_its_own_are_not_shared(gateway: Process):
    asks = [an_ask(), an_ask(priority="batch"), an_ask(deadline_ms=9000), an_ask(deadline_ms=9000)]
    gateway.model.go.clear()
    asked = [asyncio.create_task(gateway.ask(each)) for each in asks]
    # Of the four one has the leave; the others wait for it, and so does this test.
    async with asyncio.timeout(5):
        while not gateway.model.running:
            await asyncio.sleep(0.005)
    gateway.model.go.set()
    answers = await asyncio.gather(*asked)
    assert all(chunks == SAID for chunks, _ in answers)
    assert gateway.count("joins") == 0


async def test_the_wait_for_another_process_is_bounded(world: World, triton: ToldTriton):
    model = Model()
    model.go.clear()
    async with (
        process(world, triton, model) as slow,
        process(world, triton, Model(), wait_s=0.1) as impatient,
        slow.asked(an_ask(), a_record()) as chunks,
    ):
        await anext(chunks)
        began_s = time.monotonic()
        answer, _ = await impatient.ask()
        assert answer == SAID
        assert 0.1 <= time.monotonic() - began_s < 1
        model.go.set()


async def test_a_purge_by_any_tag_forgets_it(gateway: Process):
    ask = an_ask(session="acme/web/s", adapter="pirate")
    tags = {
        "model": "demo",
        "adapter": "demo:pirate",
        "tenant": "acme",
        "project": "acme/web",
        "session": "acme/web/s",
    }
    for kind, value in tags.items():
        await asyncio.sleep(0.005)
        assert [await gateway.outcome(ask) for _ in range(2)] == ["miss", "hit"], kind
        assert await gateway.cache.store.purge(tag(kind, value)) == 1


async def test_a_redis_that_is_frozen_holds_up_one_request_and_not_for_long(triton: ToldTriton):
    with folder() as root:
        world = World(RedisServer(root / "redis", root / "r.sock"), root / "spool")
        await world.start()
        try:
            async with process(world, triton, timeout_s=0.05) as gateway:
                await gateway.outcome()
                async with connect(world.settings) as redis:
                    pid = (await redis.info("server"))["process_id"]
                os.kill(pid, signal.SIGSTOP)
                times = []
                for _ in range(20):
                    began_s = time.monotonic()
                    chunks, _ = await gateway.ask()
                    times.append(time.monotonic() - began_s)
                    assert chunks == SAID
                assert max(times) < 0.3
                assert sorted(times)[10] < 0.01
                assert gateway.count("bypasses", reason="store") > 10
                os.kill(pid, signal.SIGCONT)
                async with asyncio.timeout(10):
                    while not gateway.cache.is_up:
                        await asyncio.sleep(0.01)
                assert await gateway.outcome() in ("hit", "miss")
        finally:
            await world.kill()
