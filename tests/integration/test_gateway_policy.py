"""A gateway's policy, followed in the real Redis: soon, without stalls, whatever breaks."""

import asyncio
import gc
import stat
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stores
from structlog.testing import capture_logs

from gateway import policy as policy_module
from gateway.policy import follow
from gateway.policy_file import NAME, PolicyFile
from serving.adapters import policy_feed, redis
from serving.adapters.policy_feed import PolicyFeed
from serving.contract.errors import Unavailable
from serving.contract.permissions import Role
from serving.contract.policy import Delta, Key, Limits, Secret, Snapshot, Tenant, Version
from serving.identity.documents import change_of
from serving.stack.redis import RedisServer

SOON_S = 0.1  # with pub/sub
GUARANTEED_S = 1.0  # without
KEYS, TENANTS = 10_000, 1_000
STALL_S = 0.020
PASSWORD = "secret"


def version(number, epoch="e"):
    return Version(epoch, number)


def tenant(name):
    return change_of(Tenant(name, f"Team {name}"))


def snapshot(number, *names, epoch="e"):
    return Snapshot(version(number, epoch), tuple(map(tenant, names)))


def delta(number, *changes, epoch="e"):
    return Delta(version(number, epoch), changes)


@pytest.fixture(scope="module", autouse=True)
def _thawed():
    """What a follower froze is the garbage collector's again."""
    yield
    gc.unfreeze()


@pytest.fixture
def store(redis_server):
    redis_server.flush()
    return redis_server


@pytest.fixture
async def feed(store):
    async with redis.connect(store.settings()) as client:
        yield PolicyFeed(client)


@pytest.fixture
async def client(store):
    async with redis.connect(store.settings()) as client:
        yield client


@asynccontextmanager
async def followed(store, folder):
    async with (
        redis.connect(store.settings()) as client,
        follow(PolicyFeed(client), PolicyFile(folder)) as policy,
    ):
        yield policy


async def until(is_so, *, within_s=GUARANTEED_S):
    """How long it took."""
    began_s = time.perf_counter()
    async with asyncio.timeout(within_s + 5):
        while not is_so():
            await asyncio.sleep(0.001)
    return time.perf_counter() - began_s


def at(policy, number, epoch="e"):
    return lambda: policy.is_ready and policy.directory.version == version(number, epoch)


async def test_what_is_published_is_known_from_the_start(store, feed, tmp_path):
    await feed.replace(snapshot(6, "a"))
    await feed.publish(delta(7, tenant("b")))
    async with followed(store, tmp_path) as policy:
        assert policy.is_ready
        assert policy.directory.version == version(7)
        assert {found.id for found in policy.directory.each(Tenant)} == {"a", "b"}
        assert policy.age_s < GUARANTEED_S


async def test_with_nothing_published_it_starts_and_waits(store, feed, tmp_path):
    async with followed(store, tmp_path) as policy:
        assert not policy.is_ready
        with pytest.raises(Unavailable):
            _ = policy.directory
        await feed.replace(snapshot(1, "a"))
        assert await until(at(policy, 1)) < GUARANTEED_S


async def test_a_change_is_known_at_once(store, feed, tmp_path):
    await _changes_are_known_at_once(store, feed, tmp_path)


async def test_a_change_is_known_at_once_on_a_cluster(redis_cluster, tmp_path):
    redis_cluster.flush()
    async with redis.connect(redis_cluster.settings()) as client:
        await _changes_are_known_at_once(redis_cluster, PolicyFeed(client), tmp_path)


async def _changes_are_known_at_once(store, feed, tmp_path):
    await feed.replace(snapshot(0))
    async with followed(store, tmp_path) as policy:
        took_s = []  # the first may be too soon for the subscription
        for number in range(1, 11):
            await feed.publish(delta(number, tenant(f"t{number}")))
            took_s.append(await until(at(policy, number)))
    assert sorted(took_s)[5] < SOON_S, took_s


async def test_without_hints_a_change_is_known_within_a_second(store, feed, tmp_path, monkeypatch):
    await feed.replace(snapshot(0))
    async with followed(store, tmp_path) as policy:
        await subscribed(feed)
        monkeypatch.setattr(policy_feed, "_HINTS", "elsewhere")
        for number in (1, 2):
            await feed.publish(delta(number))
            assert await until(at(policy, number)) < GUARANTEED_S


async def test_a_gap_is_crossed_by_the_whole(store, feed, client, tmp_path):
    await feed.replace(snapshot(1, "old"))
    async with followed(store, tmp_path) as policy:
        await client.delete("conch:{policy}:version")
        await feed.replace(snapshot(9, "new"))
        await until(at(policy, 9))
        assert policy.directory.tenant("old") is None


async def test_another_epoch_replaces_all(store, feed, tmp_path):
    await feed.replace(snapshot(9, "old"))
    async with followed(store, tmp_path) as policy:
        await feed.replace(snapshot(2, "new", epoch="other"))
        await until(at(policy, 2, "other"))
        assert policy.directory.tenant("old") is None
        assert policy.directory.tenant("new") is not None


async def test_a_redis_that_lost_its_last_writes_takes_nothing_back(store, feed, tmp_path):
    await feed.replace(snapshot(1))
    async with followed(store, tmp_path) as policy:
        await feed.publish(delta(2, tenant("kept")))
        await until(at(policy, 2))
        store.flush()
        await feed.replace(snapshot(1))
        await feed.publish(delta(2, tenant("kept")))
        await feed.publish(delta(3, tenant("next")))
        await until(at(policy, 3))
        assert policy.directory.tenant("kept") is not None


async def test_a_redis_that_lost_all_changes_nothing(store, feed, tmp_path):
    await feed.replace(snapshot(3, "a"))
    async with followed(store, tmp_path) as policy:
        with capture_logs() as logs:
            store.flush()
            await until(lambda: logs)
        assert policy.directory.tenant("a") is not None
        assert "no policy" in logs[0]["reason"]


async def test_damaged_data_leave_the_last_good_policy(store, feed, client, tmp_path):
    await feed.replace(snapshot(3, "a"))
    async with followed(store, tmp_path) as policy:
        with capture_logs() as logs:
            await client.hset("conch:{policy}:checkpoint", "data", b"torn")
            await client.set("conch:{policy}:version", b"4 e")
            await until(lambda: logs)
            assert policy.directory.version == version(3)
            await feed.replace(snapshot(5, "b"))
            await until(at(policy, 5))
        told = [entry["event"] for entry in logs]
        assert told == ["policy_is_not_followed", "policy_loaded", "policy_is_followed"]


@asynccontextmanager
async def own_redis():
    """A Redis that is not running yet, and how to run it."""
    with stores.folder() as folder:
        server = RedisServer(folder / "redis", folder / "redis.sock")

        @asynccontextmanager
        async def running():
            process = stores.running_redis(server, PASSWORD)
            await asyncio.to_thread(process.__enter__)
            try:
                async with redis.connect(store.settings()) as client:
                    yield PolicyFeed(client)
            finally:
                await asyncio.to_thread(process.__exit__, None, None, None)

        store = stores.RedisStore(server.url, PASSWORD)
        yield store, running


async def test_it_starts_from_disk_while_redis_is_away(store, feed, tmp_path):
    key = Key("k", "a key", Role.SERVICE, (Secret("d"),), limits=Limits(tokens_per_day=5))
    await feed.replace(Snapshot(version(4), (tenant("a"), change_of(key))))
    async with followed(store, tmp_path):
        pass
    async with own_redis() as (away, running), followed(away, tmp_path) as policy:
        assert policy.directory.version == version(4)
        assert policy.directory.key("k") == key
        assert policy.age_s == float("inf")
        async with running() as its_feed:
            await its_feed.replace(snapshot(4, "b"))
            # What is on disk may have been written by an older version: Redis has the whole of it.
            await until(lambda: policy.directory.tenant("b"))
        assert policy.directory.key("k") is None


async def test_it_outlives_a_redis_that_is_killed_and_comes_back(tmp_path):
    async with own_redis() as (store, running):
        async with running() as feed:
            await feed.replace(snapshot(1, "a"))
            following = followed(store, tmp_path)
            policy = await following.__aenter__()
        try:
            await until(lambda: policy.age_s > GUARANTEED_S)
            assert policy.directory.tenant("a") is not None
            async with running() as feed:
                await feed.publish(delta(2, tenant("b")))
                await until(at(policy, 2))
                await until(lambda: policy.age_s < SOON_S)
                await subscribed(feed)
                await feed.publish(delta(3))
                assert await until(at(policy, 3)) < SOON_S
        finally:
            await following.__aexit__(None, None, None)


async def subscribed(feed):
    """Until somebody listens for hints."""
    async with asyncio.timeout(5):
        while (await feed._redis.pubsub_numsub(policy_feed._HINTS))[0][1] == 0:
            await asyncio.sleep(0.01)


async def _never_answers(reader, writer):
    await reader.read()
    writer.close()


async def test_it_starts_soon_when_redis_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(policy_module, "START_WITHIN_S", 0.3)
    async with own_redis() as (store, _):
        path = Path(store.settings().address.socket)
        silent = await asyncio.start_unix_server(_never_answers, path)
        began_s = time.perf_counter()
        async with silent, followed(store, tmp_path) as policy:
            assert time.perf_counter() - began_s < GUARANTEED_S
            assert not policy.is_ready


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"{}\n{}\n", "torn", "changed", "of another format"]
)
async def test_a_file_that_is_not_whole_is_no_policy(store, feed, tmp_path, damage):
    await feed.replace(snapshot(1, "alpha"))
    async with followed(store, tmp_path):
        pass
    whole = (tmp_path / NAME).read_bytes()
    damaged = {
        "torn": whole[:-40],
        "changed": whole.replace(b"alpha", b"omega"),
        "of another format": whole.replace(b'"conch_policy":1', b'"conch_policy":2'),
    }
    (tmp_path / NAME).write_bytes(damaged.get(damage, damage))
    with capture_logs() as logs:
        assert await PolicyFile(tmp_path).read() is None
    assert [entry["event"] for entry in logs] == ["policy_file_ignored"]


async def test_the_file_follows_and_is_for_its_owner_only(store, feed, tmp_path, monkeypatch):
    monkeypatch.setattr(policy_module, "SAVE_EVERY_S", 0.05)
    await feed.replace(snapshot(1, "a"))
    folder = tmp_path / "new"
    async with followed(store, folder) as policy:
        await feed.publish(delta(2, tenant("b")))
        await until(at(policy, 2))
        saved = PolicyFile(folder)
        async with asyncio.timeout(5):
            while (found := await saved.read()) is None or found.version != version(2):
                await asyncio.sleep(0.01)
        await feed.publish(delta(3, tenant("c")))
        await until(at(policy, 3))
    assert (await saved.read()) == snapshot(3, "a", "b", "c")
    assert [path.name for path in folder.iterdir()] == [NAME]
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600


async def test_a_folder_that_cannot_be_written_stops_nothing(store, feed, tmp_path):
    (tmp_path / "file").touch()
    await feed.replace(snapshot(1))
    with capture_logs() as logs:
        async with followed(store, tmp_path / "file") as policy:
            await feed.publish(delta(2))
            await until(at(policy, 2))
    assert "policy_not_saved" in [entry["event"] for entry in logs]


def _many():
    for number in range(TENANTS):
        limits = Limits(requests_per_minute=60 + number % 7)
        yield change_of(Tenant(f"tenant-{number}", f"Team {number}", limits=limits))
    for number in range(KEYS):
        yield change_of(_key(number))


def _key(number, **more):
    tenant_id = f"tenant-{number % TENANTS}"
    secret = Secret(f"{hash(number) * 0x9E3779B97F4A7C15 % 2**256:064x}")
    project = f"{tenant_id}/p"
    return Key(f"key{number:07}", "", Role.SERVICE, (secret,), tenant_id, project, **more)


@asynccontextmanager
async def heartbeat():
    """The longest time, in seconds, for which the event loop did not come round."""
    longest = [0.0]

    async def beat():
        last_s = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now_s = time.perf_counter()
            longest[0] = max(longest[0], now_s - last_s - 0.001)
            last_s = now_s

    async with asyncio.TaskGroup() as group:
        task = group.create_task(beat())
        yield longest
        task.cancel()


async def test_updates_of_a_large_policy_stall_no_stream(store, feed, tmp_path):
    bulk = [change_of(_key(number, is_active=False)) for number in range(1_000)]
    large = tuple(_many())
    await feed.replace(Snapshot(version(0), large))
    stalls = defaultdict(list)

    async def measured(what, publication, number):
        async with heartbeat() as longest:
            await publication
            await until(at(policy, number))
        stalls[what].append(longest[0])

    async with followed(store, tmp_path) as policy:
        # Whoever else uses these cores stalls us too, but not every time.
        for first in (1, 4, 7):
            one = change_of(_key(first, is_active=False))
            await measured("a delta", feed.publish(delta(first, one)), first)
            await measured("a large delta", feed.publish(delta(first + 1, *bulk)), first + 1)
            whole = Snapshot(version(first + 2), large)  # no delta leads there
            await measured("a reload", feed.replace(whole), first + 2)
    assert {what: min(times) for what, times in stalls.items() if min(times) > STALL_S} == {}
