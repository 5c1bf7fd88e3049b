"""Commands in batches: their order, their errors, and connections that break under them."""

import asyncio

import pytest
from stores import RedisStore

from serving.adapters import redis_lane
from serving.adapters.redis import Redis, StoreRefused, StoreUnavailable
from serving.adapters.redis_lane import lane
from serving.adapters.redis_scripts import Command, Script
from serving.adapters.redis_wire import Wire

XLEN = Script("quota_clock", "quota_renew")


def incr(key: str = "{s1}:n") -> Command:
    return Command(("INCR", key))


async def test_answers_come_in_the_order_of_the_commands(quota_redis: Redis):
    wire = Wire(quota_redis)
    keys = [f"{{s{n % 4}}}:n" for n in range(40)]
    replies = await wire.send([incr(key) for key in keys])
    assert replies == [1 + n // 4 for n in range(40)]


async def test_an_error_is_the_answer_of_its_command_alone(quota_redis: Redis):
    wrong = Command(("HGET", "{s1}:n", "x"))
    replies = await Wire(quota_redis).send([incr(), wrong, incr()])
    assert replies[::2] == [1, 2]
    assert "WRONGTYPE" in str(replies[1])
    async with lane(quota_redis) as shared:
        good, bad = shared.ask(incr()), shared.ask(wrong)
        assert await good == 3
        with pytest.raises(StoreRefused, match="WRONGTYPE"):
            await bad


async def test_scripts_are_sent_where_they_are_not_known(
    quota_redis: Redis, quota_store: RedisStore
):
    wire = Wire(quota_redis)
    calls = [XLEN.call([f"{{s{n}}}:leases"], 1) for n in range(8)]
    for _ in range(2):
        assert await wire.send([incr(), *calls]) == [1, *([[]] * 8)]
        quota_store.flush()  # as when Redis starts anew


async def test_what_is_asked_together_travels_together(quota_redis: Redis, monkeypatch):
    batches: list[int] = []
    send = Wire.send

    async def counted(self, commands):
        batches.append(len(commands))
        return await send(self, commands)

    monkeypatch.setattr(Wire, "send", counted)
    async with lane(quota_redis) as shared:
        urgent = [shared.ask(incr()) for _ in range(10)]
        assert await asyncio.gather(*urgent) == list(range(1, 11))
        patient = [shared.ask(incr(), is_urgent=False) for _ in range(5)]
        assert await shared.ask(incr()) == 16  # takes them along
        assert [future.result() for future in patient] == list(range(11, 16))
        await shared.ask(incr(), is_urgent=False)
    assert batches == [10, 6, 1]


async def test_a_large_batch_goes_in_pieces(quota_redis: Redis, monkeypatch):
    monkeypatch.setattr(redis_lane, "BATCH", 7)
    async with lane(quota_redis) as shared:
        replies = await asyncio.gather(*(shared.ask(incr()) for _ in range(50)))
    assert replies == list(range(1, 51))


async def test_a_queue_that_is_full_refuses(quota_redis: Redis, monkeypatch):
    monkeypatch.setattr(redis_lane, "CAPACITY", 3)
    async with lane(quota_redis) as shared:
        futures = [shared.ask(incr()) for _ in range(4)]
        with pytest.raises(StoreUnavailable, match="commands wait"):
            await futures.pop()
        assert await asyncio.gather(*futures) == [1, 2, 3]


async def test_what_nobody_waits_for_any_more_is_done_all_the_same(quota_redis: Redis):
    async with lane(quota_redis) as shared:
        shared.ask(incr()).cancel()
        assert await shared.ask(incr()) == 2


async def test_at_the_end_whoever_waits_is_told(quota_redis: Redis):
    async with lane(quota_redis) as shared:
        future = shared.ask(incr(), is_urgent=False)
    with pytest.raises(StoreUnavailable, match="being closed"):
        await future
    with pytest.raises(StoreUnavailable, match="being closed"):
        await shared.ask(incr())


class TestOfOneServer:
    @pytest.fixture
    def quota_store(self, redis_server: RedisStore) -> RedisStore:
        redis_server.flush()
        return redis_server

    async def test_a_connection_that_was_cut_while_idle_costs_nobody_anything(
        self, quota_redis: Redis
    ):
        wire = Wire(quota_redis)
        assert await wire.send([incr()]) == [1]
        await quota_redis.client_kill_filter(_type="normal", skipme=True)
        assert await wire.send([incr()]) == [2]

    async def test_a_server_that_hangs_is_given_up_and_then_tried_anew(self, quota_redis: Redis):
        wire = Wire(quota_redis, timeout_s=0.1)
        await wire.send([incr()])
        await quota_redis.client_pause(300)
        with pytest.raises(StoreUnavailable):
            await wire.send([incr()])
        await quota_redis.ping()  # answered when the pause is over
        assert isinstance((await wire.send([incr()]))[0], int)

    async def test_a_sender_that_is_cancelled_leaves_no_answer_to_the_next(
        self, quota_redis: Redis
    ):
        wire = Wire(quota_redis)
        await wire.send([incr()])
        await quota_redis.client_pause(100)
        sender = asyncio.create_task(wire.send([Command(("ECHO", "first"))]))
        await asyncio.sleep(0.02)
        sender.cancel()
        await asyncio.wait([sender])
        assert await wire.send([Command(("ECHO", "second"))]) == [b"second"]
