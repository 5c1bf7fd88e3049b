"""From PostgreSQL to Redis, both real: what is committed arrives, whatever Redis had before."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from sqlalchemy import text

from control_plane.metrics import Metrics
from control_plane.publish import Publisher
from control_plane.store import policy_log
from control_plane.store.edit import begin
from serving.adapters import redis
from serving.adapters.policy_feed import PolicyFeed
from serving.contract.policy import Snapshot, Tenant, Version
from serving.identity.directory import Directory
from serving.settings.stores import RedisSettings

PATIENCE_S = 5.0


@pytest.fixture
async def feed(redis_server):
    redis_server.flush()
    async with redis.connect(redis_server.settings()) as client:
        yield PolicyFeed(client)


@pytest.fixture
def publisher(control_database, feed):
    return new_publisher(control_database, feed)


def new_publisher(database, feed, *, poll_s=0.05, checkpoint_every=100):
    return Publisher(database, feed, Metrics(), poll_s, checkpoint_every)


@asynccontextmanager
async def running(*publishers):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(publisher.run()) for publisher in publishers]
        yield tasks
        for task in tasks:
            task.cancel()


async def put(database, *documents):
    """Commits each by itself; the version of the last."""
    for document in documents:
        async with database.session() as session:
            await (await begin(session, "key:1")).put(document, action="create")
    return await newest(database)


async def newest(database):
    async with database.session() as session:
        return await policy_log.version(session)


async def reaches(feed, version):
    async with asyncio.timeout(PATIENCE_S), feed.hints() as hints:
        if await feed.version() == version:
            return
        async for _ in hints:
            if await feed.version() == version:
                return


async def tenants_published(feed):
    directory = Directory.of(await feed.snapshot())
    while deltas := await feed.deltas_after(directory.version):
        for delta in deltas:
            directory.apply(delta)
    return {tenant.id for tenant in directory.each(Tenant)}


async def publishing(several):
    """Those that have published."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            at_work = [n for n, each in enumerate(several) if version_of(each)]
            if at_work:
                return at_work
            await asyncio.sleep(0)


def version_of(publisher):
    return publisher.metrics.policy_version._value.get()


def named(*ids):
    return [Tenant(id_, id_) for id_ in ids]


async def test_what_is_committed_arrives(control_database, feed, publisher):
    await put(control_database, *named("a"))
    async with running(publisher):
        await reaches(feed, await newest(control_database))
        assert await tenants_published(feed) == {"a"}
        await reaches(feed, await put(control_database, *named("b", "c")))
        assert await tenants_published(feed) == {"a", "b", "c"}


async def test_a_commit_wakes_it(control_database, feed):
    async with running(new_publisher(control_database, feed, poll_s=3600)):
        await reaches(feed, await newest(control_database))
        await reaches(feed, await put(control_database, *named("a")))


async def test_of_several_one_publishes_and_another_takes_over(control_database, feed):
    several = [new_publisher(control_database, feed) for _ in range(2)]
    async with running(*several) as tasks:
        await reaches(feed, await put(control_database, *named("a", "b")))
        (at_work,) = await publishing(several)
        tasks[at_work].cancel()
        await reaches(feed, await put(control_database, *named("c")))
    assert await tenants_published(feed) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "found",
    [
        None,
        Snapshot(Version("another", 7), ()),
        Snapshot(Version("another", 1), ()),
    ],
    ids=["flushed", "another epoch", "another epoch, behind"],
)
async def test_it_makes_redis_say_what_the_database_says(
    control_database, feed, publisher, redis_server, found
):
    async with running(publisher):
        await reaches(feed, await put(control_database, *named("a", "b")))
        redis_server.flush()
        if found is not None:
            await feed.replace(found)
        await reaches(feed, await newest(control_database))
        assert await tenants_published(feed) == {"a", "b"}


async def test_versions_the_database_has_lost_are_void(control_database, feed, publisher):
    at = await put(control_database, *named("a"))
    await feed.replace(Snapshot(Version(at.epoch, 9), ()))
    while not await publisher.catch_up():
        pass
    mended = await newest(control_database)
    assert mended.epoch != at.epoch
    assert await feed.version() == mended
    assert await tenants_published(feed) == {"a"}


async def test_a_checkpoint_follows_every_so_many_versions(control_database, feed):
    publisher = new_publisher(control_database, feed, checkpoint_every=4)
    await publisher.checkpoint()
    for number in range(1, 7):
        await put(control_database, *named(f"t{number}"))
        while not await publisher.catch_up():
            pass
    assert (await feed.snapshot()).version.number == 4
    assert len(await tenants_published(feed)) == 6


async def test_it_survives_that_the_database_hangs_up(control_database, feed, publisher):
    async with running(publisher):
        await reaches(feed, await put(control_database, *named("a")))
        with suppress(Exception):
            async with control_database.session() as session:
                await session.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         "WHERE datname = current_database()")
                )  # fmt: skip
        await reaches(feed, await put(control_database, *named("b")))


async def test_it_waits_for_redis(control_database):
    away = RedisSettings(url="unix:///nowhere/redis.sock", connect_timeout_s=0.2)
    async with redis.connect(away) as client:
        publisher = new_publisher(control_database, PolicyFeed(client))
        failures = publisher.metrics.publish_failures.labels("redis")
        async with running(publisher), asyncio.timeout(PATIENCE_S):
            while failures._value.get() < 2:
                await asyncio.sleep(0.01)
