"""The policy through the real Redis, one server and a cluster: whole, in order, never twice."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from serving.adapters import policy_feed, redis
from serving.adapters.policy_feed import PolicyFeed
from serving.adapters.policy_lines import Malformed
from serving.contract.policy import Change, Delta, Snapshot, Version

CHECKPOINT = "conch:{policy}:checkpoint"
DELTAS = "conch:{policy}:deltas"
VERSION = "conch:{policy}:version"


def version(number, epoch="e"):
    return Version(epoch, number)


def change(name):
    return Change("tenant", name, b'{"id":"%s","name":"x"}' % name.encode())


def snapshot(number, *names, epoch="e"):
    return Snapshot(version(number, epoch), tuple(change(name) for name in names))


def delta(number, *names, epoch="e"):
    return Delta(version(number, epoch), tuple(change(name) for name in names))


@asynccontextmanager
async def feed_of(store, **options):
    async with redis.connect(store.settings(**options)) as client:
        yield PolicyFeed(client), client


@pytest.fixture(params=["redis_server", "redis_cluster"])
def store(request, redis_server, redis_cluster):
    found = {"redis_server": redis_server, "redis_cluster": redis_cluster}[request.param]
    found.flush()
    return found


@pytest.fixture
async def opened(store):
    async with feed_of(store) as both:
        yield both


@pytest.fixture
def feed(opened):
    return opened[0]


@pytest.fixture
def client(opened):
    return opened[1]


async def test_nothing_is_published_at_first(feed):
    assert await feed.version() is None
    assert await feed.snapshot() is None
    assert not await feed.publish(delta(1, "a"))


async def test_a_snapshot_comes_back_whole(feed):
    given = Snapshot(
        version(7, "an epoch"),
        (change("a"), Change("key", 'k",\\"document":', b'{"a":",\\"document\\":"}')),
    )
    await feed.replace(given)
    assert await feed.version() == given.version
    assert await feed.snapshot() == given
    assert await feed.deltas_after(given.version) == []


async def test_deltas_lead_on_from_any_version_before_them(feed):
    await feed.replace(snapshot(7, "a"))
    given = [delta(8, "b"), Delta(version(9), (Change("tenant", "a", None),)), delta(10)]
    assert [await feed.publish(one) for one in given] == [True, True, True]
    assert await feed.version() == version(10)
    assert await feed.deltas_after(version(7)) == given
    assert await feed.deltas_after(version(9)) == given[2:]
    assert await feed.deltas_after(version(10)) == []


@pytest.mark.parametrize("other", [delta(7), delta(8), delta(10), delta(9, epoch="other")])
async def test_only_the_next_version_is_published_and_only_once(feed, other):
    await feed.replace(snapshot(7, "a"))
    assert await feed.publish(delta(8, "b"))
    assert not await feed.publish(other)
    assert await feed.version() == version(8)


async def test_of_many_publishers_one_gets_a_version(feed):
    await feed.replace(snapshot(0))
    done = await asyncio.gather(*(feed.publish(delta(1, str(n))) for n in range(16)))
    assert sorted(done) == [False] * 15 + [True]
    assert len(await feed.deltas_after(version(0))) == 1


async def test_what_does_not_lead_on_says_so(feed):
    await feed.replace(snapshot(7, "a"))
    await feed.publish(delta(8, "b"))
    for elsewhere in (version(5), version(9), version(7, "other")):
        assert await feed.deltas_after(elsewhere) is None


async def test_many_deltas_come_in_portions(feed, monkeypatch):
    monkeypatch.setattr(policy_feed, "DELTAS_AT_ONCE", 3)
    await feed.replace(snapshot(0))
    for number in range(1, 6):
        await feed.publish(delta(number))
    got = await feed.deltas_after(version(0))
    assert [one.version.number for one in got] == [1, 2, 3]
    assert await feed.deltas_after(version(3)) == [delta(4), delta(5)]


async def test_a_checkpoint_trims_the_deltas_long_before_it(feed, client, monkeypatch):
    monkeypatch.setattr(policy_feed, "KEPT_DELTAS", 2)
    await feed.replace(snapshot(0))
    for number in range(1, 7):
        await feed.publish(delta(number))
    await feed.replace(snapshot(5, "whole"))
    assert await client.xlen(DELTAS) == 3  # two up to the checkpoint, one after it
    assert await feed.version() == version(6)
    assert await feed.deltas_after(version(2)) is None
    assert len(await feed.deltas_after(version(3))) == 3
    assert await feed.snapshot() == snapshot(5, "whole")
    assert await feed.deltas_after(version(5)) == [delta(6)]


async def test_a_late_checkpoint_takes_nothing_back(feed):
    await feed.replace(snapshot(0))
    for number in range(1, 5):
        await feed.publish(delta(number))
    await feed.replace(snapshot(3, "newer"))
    await feed.replace(snapshot(2, "older"))
    assert await feed.snapshot() == snapshot(3, "newer")
    assert await feed.version() == version(4)


async def test_another_epoch_begins_anew(feed):
    await feed.replace(snapshot(7, "a"))
    await feed.publish(delta(8))
    await feed.replace(snapshot(2, "b", epoch="other"))
    assert await feed.version() == version(2, "other")
    assert await feed.snapshot() == snapshot(2, "b", epoch="other")
    assert await feed.publish(delta(3, epoch="other"))
    assert await feed.deltas_after(version(2, "other")) == [delta(3, epoch="other")]


async def test_a_checkpoint_mends_a_feed_with_holes(feed, client):
    await feed.replace(snapshot(1, "a"))
    for number in (2, 3):
        await feed.publish(delta(number))
    await client.delete(DELTAS)
    assert await feed.deltas_after(version(1)) is None
    await feed.replace(snapshot(1, "a"))  # nothing leads on from it any more
    assert await feed.version() == version(1)
    assert await feed.publish(delta(2))


@pytest.mark.parametrize("damaged", [b"", b"nonsense", b"x 7", b"-1 e"])
async def test_a_damaged_version_is_none(feed, client, damaged):
    await feed.replace(snapshot(7, "a"))
    await client.set(VERSION, damaged)
    assert await feed.version() is None


async def test_a_damaged_checkpoint_is_told(feed, client):
    await feed.replace(snapshot(7, "a"))
    whole = await client.hget(CHECKPOINT, "data")
    for damaged in (whole[:-3], b"", b"\x00" * 40):
        await client.hset(CHECKPOINT, "data", damaged)
        with pytest.raises(Malformed):
            await feed.snapshot()


async def test_a_damaged_delta_leads_nowhere(feed, client):
    await feed.replace(snapshot(7, "a"))
    await client.xadd(DELTAS, {"delta": b"torn"}, id="8-0")
    await client.set(VERSION, b"8 e")
    assert await feed.deltas_after(version(7)) is None


async def test_every_publication_is_hinted(feed):
    async with feed.hints() as hints:
        for publish in (feed.replace(snapshot(1)), feed.publish(delta(2))):
            await publish
            async with asyncio.timeout(2):
                await anext(hints)


async def test_a_cancellation_is_never_lost(feed):
    """Python 3.11's `wait_for`, which the client sends with, loses one that comes with its end."""
    for turns in range(60):
        asking = asyncio.create_task(feed.version())
        for _ in range(turns % 12):
            await asyncio.sleep(0)
        if asking.cancel():
            with pytest.raises(asyncio.CancelledError):
                await asking


async def test_a_subscription_is_quiet_for_longer_than_an_answer_may_take(store):
    async with feed_of(store, timeout_s=0.4) as (feed, _), feed.hints() as hints:
        late = asyncio.create_task(anext(hints))
        await asyncio.sleep(0.8)
        await feed.replace(snapshot(1))
        async with asyncio.timeout(2):
            await late


async def test_ten_thousand_documents_are_small_on_their_way(feed, client):
    names = [f"tenant-{number}" for number in range(10_000)]
    await feed.replace(snapshot(1, *names))
    assert len(await client.hget(CHECKPOINT, "data")) < 200_000
    assert [change.id for change in (await feed.snapshot()).documents] == names
