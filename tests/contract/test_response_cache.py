"""The store of answers on a real Redis, alone and as a cluster."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from serving.adapters import response_cache
from serving.adapters.redis import SHARDS, Redis
from serving.adapters.redis_lane import Lane, lane
from serving.adapters.response_cache import (
    CacheStats,
    Entry,
    Found,
    Leave,
    Place,
    ResponseCache,
)

DAY_S = 86400.0
NEW_S = -1.0
HERE = Place("project=acme/web", "d1")
TAGS = (
    "model=demo",
    "adapter=demo:pirate",
    "tenant=acme",
    "project=acme/web",
    "session=acme/web/s",
)


@pytest.fixture
async def cache_lane(quota_redis: Redis) -> AsyncIterator[Lane]:
    async with lane(quota_redis) as shared:
        yield shared


@pytest.fixture
def store(cache_lane: Lane) -> ResponseCache:
    return ResponseCache(cache_lane, cache_lane, most_bytes=1000 * SHARDS)


async def made(
    store: ResponseCache, place: Place = HERE, data: bytes = b"answer", **more: Any
) -> int:
    """As a gateway makes an answer: with leave, and then kept."""
    leave = await store.claim(place, NEW_S, "t")
    assert isinstance(leave, Leave)
    entry = Entry(data, **{"tags": TAGS, "ttl_s": 60, "begun_ms": leave.begun_ms, **more})
    kept: int = await store.keep(place, entry, "t")
    return kept


async def data_at(store: ResponseCache, place: Place = HERE, max_age_s: float = DAY_S) -> Any:
    found = await store.find(place, max_age_s)
    return None if found is None else found.data


async def test_what_is_kept_is_found_with_its_age(store: ResponseCache):
    assert await store.find(HERE, DAY_S) is None
    assert await made(store, data=b"\x00\xff") == 0
    found = await store.find(HERE, DAY_S)
    assert found is not None
    assert found.data == b"\x00\xff"
    assert 0 <= found.age_s < 5


async def test_nothing_is_found_under_another_key_or_by_others(store: ResponseCache):
    await made(store)
    assert await data_at(store, Place(HERE.scope, "d2")) is None
    for scope in ("project=acme/api", "project=rival/web", "tenant=acme", "shared="):
        assert await data_at(store, Place(scope, "d1")) is None


async def test_one_that_is_too_old_is_not_found(store: ResponseCache):
    await made(store)
    await asyncio.sleep(0.03)
    assert await data_at(store, max_age_s=0.01) is None
    assert await data_at(store, max_age_s=60) == b"answer"
    assert await data_at(store, max_age_s=NEW_S) is None


async def test_it_is_forgotten_after_its_time(store: ResponseCache):
    await made(store, ttl_s=0.05)
    assert (await store.stats()).entries == 1
    await asyncio.sleep(0.07)
    assert await data_at(store) is None
    stats = await store.stats()
    assert (stats.entries, stats.bytes) == (0, 0)


async def test_one_at_a_time_has_leave_to_make_an_answer(store: ResponseCache):
    first = await store.claim(HERE, DAY_S, "a")
    assert isinstance(first, Leave)
    assert first.is_given
    second = await store.claim(HERE, DAY_S, "b")
    assert isinstance(second, Leave)
    assert not second.is_given
    again = await store.claim(HERE, DAY_S, "a")
    assert isinstance(again, Leave)
    assert again.is_given
    await store.keep(HERE, Entry(b"x", TAGS, 60, first.begun_ms), "a")
    assert isinstance(await store.claim(HERE, DAY_S, "b"), Found)


async def test_leave_that_is_given_back_is_the_next_ones(store: ResponseCache):
    await store.claim(HERE, DAY_S, "a")
    await store.release(HERE, "b")  # not its own
    refused = await store.claim(HERE, DAY_S, "b")
    await store.release(HERE, "a")
    given = await store.claim(HERE, DAY_S, "b")
    assert isinstance(refused, Leave)
    assert isinstance(given, Leave)
    assert (refused.is_given, given.is_given) == (False, True)


async def test_leave_ends_by_itself(store: ResponseCache, quota_redis: Redis):
    await store.claim(HERE, DAY_S, "a")
    assert 25_000 < await quota_redis.pttl(HERE.lock) <= 30_000


@pytest.mark.parametrize("tag", TAGS)
async def test_it_is_purged_by_each_of_its_tags(store: ResponseCache, tag: str):
    other = Place("project=rival/web", "d1")
    await made(store)
    await made(store, other, tags=("model=other", "tenant=rival"))
    assert await store.purge(tag) == 1
    assert await data_at(store) is None
    assert await data_at(store, other) == b"answer"
    assert await store.purge(tag) == 0
    stats = await store.stats()
    assert (stats.entries, stats.bytes, stats.purged) == (1, 6, 1)


async def test_a_purge_holds_for_what_is_being_made(store: ResponseCache):
    leave = await store.claim(HERE, DAY_S, "a")
    assert isinstance(leave, Leave)
    await store.purge("model=demo")
    assert await store.keep(HERE, Entry(b"old", TAGS, 60, leave.begun_ms), "a") == -1
    assert await data_at(store) is None
    await asyncio.sleep(0.005)
    assert await made(store, data=b"new") == 0
    assert await data_at(store) == b"new"


async def test_what_is_purged_is_freed_in_every_shard(store: ResponseCache):
    places = [Place(f"project=t{number}/p", "d") for number in range(40)]
    for place in places:
        await made(store, place)
    assert len({place.shard for place in places}) > 5
    assert await store.purge("model=demo") == 40
    assert (await store.stats()).entries == 0


async def test_many_answers_of_one_shard_are_swept_in_turns(
    store: ResponseCache, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(response_cache, "SWEPT_AT_ONCE", 3)
    for number in range(10):
        tags = TAGS if number % 2 else ("model=other",)
        await made(store, Place(HERE.scope, f"d{number}"), b"x", tags=tags)
    assert await store.purge("model=demo") == 5
    assert (await store.stats()).entries == 5


async def test_of_too_many_purges_older_ones_become_one(
    store: ResponseCache, quota_redis: Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(response_cache, "MOST_PURGES", 8)
    await made(store)
    for number in range(30):
        await store.purge(f"session=acme/web/{number}")
    assert await quota_redis.zcard(f"conch:{{{HERE.shard}}}:cache:purges") <= 9
    assert await data_at(store) is None  # rather too much is forgotten than too little
    await asyncio.sleep(0.005)
    await made(store, data=b"new")
    assert await data_at(store) == b"new"


async def test_room_is_made_by_what_would_expire_first(store: ResponseCache):
    for number, ttl_s in enumerate((50, 10, 30)):
        await made(store, Place(HERE.scope, f"d{number}"), b"x" * 300, ttl_s=ttl_s)
    assert await made(store, Place(HERE.scope, "new"), b"y" * 300) == 1
    assert await data_at(store, Place(HERE.scope, "d1")) is None
    assert await made(store, Place(HERE.scope, "huge"), b"z" * 1001) == -2
    stats = await store.stats()
    assert (stats.entries, stats.bytes) == (0, 0)
    assert stats.evicted == 4


async def test_an_answer_in_place_of_another_counts_once(store: ResponseCache):
    await made(store, data=b"x" * 100)
    await made(store, data=b"y" * 50)
    assert await data_at(store) == b"y" * 50
    stats = await store.stats()
    assert (stats.entries, stats.bytes, stats.stored) == (1, 50, 2)


async def test_looks_are_counted(store: ResponseCache):
    await made(store)
    for told in (*store.count(2, 1), *store.count(1, 0)):
        await told
    assert await store.stats() == CacheStats(entries=1, bytes=6, hits=3, misses=1, stored=1)
