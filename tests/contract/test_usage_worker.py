"""The worker on the real Redis and PostgreSQL: everything arrives, once, whatever happens."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import orjson
import pytest
import usage_worker_process
from prometheus_client import CollectorRegistry
from store_servers import RedisStore, folder, running_redis
from usage_events import an_event, any_events, migrated, rows, sums, sums_of

from control_plane.policy_copy import PolicyCopy
from control_plane.usage.consumer import Consumer
from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.patience import patiently
from control_plane.usage.rollup import DAY, HOUR, MINUTE
from control_plane.usage.settings import UsageSettings
from control_plane.usage.worker import UsageWorker
from serving.adapters import redis as redis_adapter
from serving.adapters.quota_keys import stream_key
from serving.adapters.quotas import Quotas
from serving.adapters.redis import shard_tag
from serving.adapters.redis_lane import lane
from serving.adapters.shard_streams import GROUP
from serving.adapters.usage_stream import UsageStream
from serving.stack.redis import RedisServer

EVENTS = 4_000 if os.environ.get("CONCH_TEST_SCALE") == "full" else 100


@pytest.fixture
async def redis(redis_server):
    redis_server.flush()
    async with redis_adapter.connect(redis_server.settings()) as client:
        yield client


def a_worker(database, redis, **options):
    metrics = UsageMetrics(CollectorRegistry())
    worker = UsageWorker(database, PolicyCopy(), metrics)
    settings = UsageSettings(**options)
    return Consumer(UsageStream(redis), worker.store, metrics, settings, block_ms=20)


async def send(redis, *events):
    async with lane(redis, timeout_s=60) as together:
        quotas = Quotas(redis, lease_s=30, lane=together)
        await asyncio.gather(*(quotas.record(event) for event in events))


async def drain(worker):
    while await patiently(worker.stream.lag, worker.metrics):
        await worker.step()


async def test_events_arrive_and_are_gone_from_the_stream(redis, database):
    events = any_events(EVENTS)
    async with migrated(database) as connected:
        worker = a_worker(connected, redis)
        await send(redis, *events)
        await drain(worker)
    assert {row["id"] for row in rows(database, "SELECT id FROM usage_events")} == {
        event.id for event in events
    }
    assert all(sums(database, each) == sums_of(events) for each in (MINUTE, HOUR, DAY))


async def test_what_cannot_be_read_is_put_aside_and_holds_up_nothing(redis, database):
    good = an_event()
    odd = orjson.dumps({**orjson.loads(orjson.dumps(an_event())), "prompt_tokens": "many"})
    foreign = (b"", b"{", b"[]", b'{"id": "x"}', odd)
    async with migrated(database) as connected:
        worker = a_worker(connected, redis)
        for payload in foreign:
            await redis.xadd("conch:{s3}:usage", {"event": payload})
        await redis.xadd("conch:{s3}:usage", {"something": "else"})
        await send(redis, good)
        await drain(worker)
    assert rows(database, "SELECT id FROM usage_events") == [{"id": good.id}]
    letters = rows(database, "SELECT * FROM usage_dead_letters")
    assert sorted(bytes(letter["payload"]) for letter in letters) == sorted([*foreign, b""])
    assert {letter["reason"] for letter in letters} == {
        "not a usage event",
        "'prompt_tokens' is no value of a usage event",
    }


async def test_a_row_that_only_the_database_refuses_is_found_and_put_aside(redis, database):
    events = any_events(20)
    async with migrated(database) as connected:
        with database.connect() as admin:
            admin.execute(f"ALTER TABLE usage_events ADD CHECK (id <> '{events[7].id}')")
        await send(redis, *events)
        await drain(a_worker(connected, redis))
    kept = [event for event in events if event is not events[7]]
    assert sums(database, DAY) == sums_of(kept)
    (letter,) = rows(database, "SELECT reason FROM usage_dead_letters")
    assert "check constraint" in letter["reason"]


async def test_what_a_dead_worker_had_is_taken_over(redis, database):
    events = any_events(50)
    async with migrated(database) as connected:
        await send(redis, *events)
        dead = a_worker(connected, redis)
        assert len(await dead.stream.read(dead.name, 100, 1000)) == 50
        await drain(a_worker(connected, redis, claim_after_s=0.01))
    assert sums(database, DAY) == sums_of(events)


async def test_the_names_of_workers_that_are_gone_are_forgotten(redis):
    stream = UsageStream(redis)
    await send(redis, an_event())
    for name in ("gone", "holding"):
        await stream.read(name, 10, 0)
        await send(redis, an_event())
    key = stream_key(shard_tag("acme"))
    await stream.forget_consumers(60_000)
    assert len(await redis.xinfo_consumers(key, GROUP)) == 2
    await stream.ack(await stream.claim_stale("holding", 0))
    await stream.read("holding", 10, 0)
    await stream.forget_consumers(0)
    (left,) = await redis.xinfo_consumers(key, GROUP)
    assert (left["name"], left["pending"]) == (b"holding", 1)


async def test_workers_share_the_streams(redis, database):
    events = any_events(2 * EVENTS)
    async with migrated(database) as connected:
        await send(redis, *events)
        workers = [a_worker(connected, redis, batch=5, claim_after_s=0.5) for _ in range(3)]
        await asyncio.gather(*map(drain, workers))
    assert sums(database, DAY) == sums_of(events)


async def test_a_key_is_noted_as_used_once_a_minute(redis, database):
    async with migrated(database) as connected:
        with database.connect() as admin:
            admin.execute(
                "INSERT INTO keys (id, name, role, secrets, is_active, limits)"
                " VALUES ('aaaaaaaaaa', '', 'service', '[]', true, '{}')"
            )
        worker = a_worker(connected, redis)
        noted = []
        for after_s in (0, 30, 90):
            event = an_event(began_at=an_event().began_at + after_s)
            await send(redis, event)
            await drain(worker)
            (row,) = rows(database, "SELECT last_used_at FROM keys")
            noted.append(row["last_used_at"].timestamp() - an_event().began_at)
    assert noted == [0, 0, 90]


def _dying_workers(redis_server, database):
    """A worker for every stage, in processes of their own, which they never get beyond."""
    return subprocess.Popen(
        [sys.executable, usage_worker_process.__file__],
        env=os.environ | redis_server.environment() | database.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_killed_at_any_point_a_worker_loses_nothing_and_counts_nothing_twice(
    redis, redis_server, database
):
    events = any_events(EVENTS)
    async with migrated(database) as connected:
        await send(redis, *events)
        with _dying_workers(redis_server, database) as dying:
            for _ in usage_worker_process.STAGES:
                pid, held = map(int, (await asyncio.to_thread(dying.stdout.readline)).split())
                assert held > 0
                os.kill(pid, signal.SIGKILL)
        stored = rows(database, "SELECT count(*) FROM usage_events")[0]["count"]
        assert 0 < stored < len(events)  # what was committed, but not acknowledged
        assert await a_worker(connected, redis).stream.lag() == len(events)
        await drain(a_worker(connected, redis, claim_after_s=0.01))
    assert all(sums(database, each) == sums_of(events) for each in (MINUTE, HOUR, DAY))


async def test_while_postgresql_is_away_it_keeps_what_it_has_read(redis, database, postgres_server):
    events = any_events(50)
    with database.connect() as own:
        name = own.info.dbname
    async with migrated(database) as connected:
        worker = a_worker(connected, redis)
        with type(database)(postgres_server.url, postgres_server.password).connect() as admin:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            await send(redis, *events)
            step = asyncio.create_task(worker.step())
            while not _waits(worker, "database"):
                await asyncio.sleep(0.01)
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert await step == len(events)
    assert sums(database, DAY) == sums_of(events)


@asynccontextmanager
async def _running(server, password):
    running = running_redis(server, password)
    await asyncio.to_thread(running.__enter__)
    try:
        yield
    finally:
        running.__exit__(None, None, None)


async def test_while_redis_is_away_it_waits_for_it(database):
    events, password = any_events(50), secrets.token_hex(8)
    with folder() as path:
        server = RedisServer(path / "redis", path / "redis.sock")
        settings = RedisStore(server.url, password).settings()
        async with migrated(database) as connected, redis_adapter.connect(settings) as redis:
            worker = a_worker(connected, redis)
            async with _running(server, password):
                await send(redis, *events[:25])
                await drain(worker)
                await send(redis, *events[25:])
            step = asyncio.create_task(worker.step())
            while not _waits(worker, "redis"):
                await asyncio.sleep(0.01)
            async with _running(server, password):
                await step
                await drain(worker)
    assert sums(database, DAY) == sums_of(events)


def _waits(worker, away):
    return worker.metrics.failures.labels(away)._value.get() > 0
