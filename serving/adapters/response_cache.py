"""Answers in Redis, for as long as they are good; the store knows nothing of what they say.

All who share answers (`scope`) are on one shard. Purging is by tags: a purge holds from the moment
it is asked for, also for answers that are being made then, and frees their memory after that.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields

from serving.adapters.redis import shard_tag, shard_tags
from serving.adapters.redis_lane import Lane
from serving.adapters.redis_scripts import Command, Script
from serving.adapters.redis_wire import Reply
from serving.contract.cache import LONGEST_TTL_S

LEAVE_S = 30.0  # how long one process alone makes an answer, at most
PURGES_KEPT_S = LONGEST_TTL_S + 24 * 3600.0  # longer than any answer is made and kept
MOST_PURGES = 4096  # tags that a shard remembers
SWEPT_AT_ONCE = 200
_SHARD = ("quota_clock", "cache_shard")
FIND = Script(*_SHARD, "cache_find")
CLAIM = Script(*_SHARD, "cache_claim")
KEEP = Script(*_SHARD, "cache_keep")
RELEASE = Script("cache_release")
PURGE = Script("quota_clock", "cache_purge")
SWEEP = Script(*_SHARD, "cache_sweep")
STATS = Script(*_SHARD, "cache_stats")


@dataclass(frozen=True, slots=True)
class Found:
    """An answer as it was kept, and how long ago."""

    data: bytes
    age_s: float


@dataclass(frozen=True, slots=True)
class Leave:
    """There is no answer yet. `is_given`: to make it; else somebody else is making it.

    `begun_ms` is the time at Redis.
    """

    is_given: bool
    begun_ms: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer to keep, and who may be told of it."""

    data: bytes
    tags: Sequence[str]
    ttl_s: float
    begun_ms: int


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What there is now, and what was done since the beginning, by all gateways."""

    entries: int = 0
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    stored: int = 0
    evicted: int = 0
    purged: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer with the key `digest` is, for all of `scope`."""

    scope: str
    digest: str

    @property
    def shard(self) -> str:
        return shard_tag(self.scope)

    @property
    def name(self) -> str:
        return f"{self.scope}:{self.digest}"

    @property
    def entry(self) -> str:
        return _prefix(self.shard) + self.name

    @property
    def lock(self) -> str:
        return f"{_of(self.shard, 'lock')}:{self.name}"


class ResponseCache:
    """`finds` are awaited by requests, `keeps` by nobody. All of it raises StoreUnavailable.

    `most_bytes` is what all answers together may take.
    """

    def __init__(self, finds: Lane, keeps: Lane, *, most_bytes: int) -> None:
        self._finds = finds
        self._keeps = keeps
        self._most_bytes = most_bytes // len(shard_tags())

    async def find(self, place: Place, max_age_s: float) -> Found | None:
        keys = place.entry, *_names(place.shard, "purges")
        told = await self._finds.ask(FIND.call(keys, _ms(max_age_s)))
        return _found(*told) if told else None

    async def claim(self, place: Place, max_age_s: float, token: str) -> Found | Leave:
        """The answer, or the leave to make it, which only one `token` has at a time."""
        keys = place.entry, *_names(place.shard, "purges"), place.lock
        words = _ms(max_age_s), token, _ms(LEAVE_S)
        is_there, first, second = await self._finds.ask(CLAIM.call(keys, *words))
        return _found(first, second) if is_there else Leave(bool(first), second)

    def keep(self, place: Place, entry: Entry, token: str) -> asyncio.Future[Reply]:
        """How many others gave way to it; -1: it was purged meanwhile, -2: there is no room.

        Sent also when nobody awaits it; the leave of `token` ends with it.
        """
        others = _names(place.shard, "purges", "sums")
        keys = place.entry, *others, place.lock, *_names(place.shard, "index", "sizes")
        words = _prefix(place.shard), place.name, entry.data, entry.begun_ms, _ms(entry.ttl_s)
        limits = "\n".join(entry.tags), self._most_bytes, token
        return self._keeps.ask(KEEP.call(keys, *words, *limits), is_urgent=False)

    def release(self, place: Place, token: str) -> asyncio.Future[Reply]:
        """Without an answer; sent also when nobody awaits it, and after what was claimed before."""
        return self._finds.ask(RELEASE.call([place.lock], token), is_urgent=False)

    async def purge(self, tag: str) -> int:
        """How many answers with that tag were there."""
        words = tag, _ms(PURGES_KEPT_S), MOST_PURGES
        tags = shard_tags()
        await self._all([PURGE.call(_names(shard, "purges"), *words) for shard in tags])
        return sum(await asyncio.gather(*map(self._sweep, tags)))

    async def stats(self) -> CacheStats:
        names = ("index", "sums", "sizes")
        asked = [STATS.call(_names(shard, *names), _prefix(shard)) for shard in shard_tags()]
        sums = [sum(numbers) for numbers in zip(*await self._all(asked), strict=True)]
        return CacheStats(**dict(zip([f.name for f in fields(CacheStats)], sums, strict=True)))

    def count(self, hits: int, misses: int) -> list[asyncio.Future[Reply]]:
        """What was found and what was not, now and then: a write of its own for each would cost."""
        words = ("HINCRBY", _of(shard_tags()[0], "sums"))
        counts = ("hits", hits), ("misses", misses)
        return [self._keeps.ask(Command((*words, *each)), is_urgent=False) for each in counts]

    async def ping(self) -> None:
        await self._finds.ask(Command(("PING",)))

    async def _sweep(self, shard: str) -> int:
        keys = _names(shard, "index", "purges", "sums", "sizes")
        swept, rank = 0, 0
        while rank >= 0:
            command = SWEEP.call(keys, _prefix(shard), rank, SWEPT_AT_ONCE)
            purged, rank = await self._keeps.ask(command)
            swept += purged
        return swept

    async def _all(self, commands: Sequence[Command]) -> list[Reply]:
        return await asyncio.gather(*(self._keeps.ask(command) for command in commands))


def _found(data: bytes, age_ms: int) -> Found:
    return Found(data, age_ms / 1e3)


def _ms(seconds: float) -> int:
    return round(seconds * 1e3)


def _of(shard: str, name: str) -> str:
    return f"conch:{{{shard}}}:cache:{name}"


def _names(shard: str, *names: str) -> list[str]:
    return [_of(shard, name) for name in names]


def _prefix(shard: str) -> str:
    return _of(shard, "entry:")
