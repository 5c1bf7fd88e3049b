"""The response cache of one gateway process: looks answers up, shares and keeps them.

Nothing of it fails a request. What Redis does not say in time counts as not there, and what it does
not take is not kept.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.cache_entry import Malformed, decode
from gateway.cache_flights import Flight, Flights
from gateway.cache_keeping import Keeping, Made
from gateway.cache_metrics import CacheMetrics
from gateway.cache_versions import Versions
from gateway.cache_wanted import NEVER_S, Answered, Source, Wanted
from gateway.store_watch import StoreWatch
from serving.adapters.redis import Redis, StoreUnavailable
from serving.adapters.redis_lane import lane, unheard
from serving.adapters.response_cache import Found, Leave, ResponseCache
from serving.contract.task_errors import bare_errors

FIRST_POLL_S, LAST_POLL_S = 0.01, 0.08
KEEP_TIMEOUT_S = 2.0
TOLD_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long Redis may take for a look-up, and an equal request elsewhere for its answer."""

    timeout_s: float
    wait_s: float


class Cache:
    """What the stage works with."""

    def __init__(
        self,
        store: ResponseCache,
        watch: StoreWatch,
        flights: Flights,
        versions: Versions,
        metrics: CacheMetrics,
        patience: Patience,
    ) -> None:
        self.store = store
        self.flights = flights
        self.versions = versions
        self.metrics = metrics
        self.keeping = Keeping(store, watch, versions, metrics)
        self._watch = watch
        self._patience = patience
        self._hits = self._misses = 0  # that were not told yet

    @property
    def is_up(self) -> bool:
        """Whether it is worth to ask."""
        return self._watch.is_up

    async def find(self, wanted: Wanted) -> Answered | None:
        """None where there is none, or Redis does not say."""
        began_s = time.perf_counter()
        try:
            async with asyncio.timeout(self._patience.timeout_s):
                found = await self.store.find(wanted.place, wanted.max_age_s)
        except (StoreUnavailable, TimeoutError) as error:
            self._failed(error)
            return None
        self.metrics.look_up.observe(time.perf_counter() - began_s)
        return None if found is None else self._read(found)

    async def fill(self, wanted: Wanted, source: Source, flight: Flight) -> None:
        """Make the answer, or get it from who is making it; then offer it to the others."""
        token = secrets.token_hex(8)
        is_kept = False
        try:
            claimed = await self._claimed(wanted, token)
            self.counted(is_hit=isinstance(claimed, Answered))
            if isinstance(claimed, Answered):
                _give(flight, claimed)
                return
            began_s = time.monotonic()
            await _make(wanted, source, flight)
            if claimed is not None:
                made = Made(flight.chunks, claimed, token, began_s)
                is_kept = await self.keeping.offer(wanted, made)
        finally:
            # Also where nobody heard whether it had the leave to make it.
            if not is_kept and self.is_up:
                self.store.release(wanted.place, token).add_done_callback(unheard)

    async def _claimed(self, wanted: Wanted, token: str) -> Answered | Leave | None:
        """None: Redis does not say. Waits for who makes it, unless a new one is wanted."""
        wait_s = 0 if wanted.max_age_s == NEVER_S else self._patience.wait_s
        until_s, poll_s = time.monotonic() + wait_s, FIRST_POLL_S
        while True:
            claimed = await self._claim(wanted, token)
            is_waiting = isinstance(claimed, Leave) and not claimed.is_given
            if not is_waiting or time.monotonic() >= until_s:
                return claimed
            # The other process tells Redis and nobody else: it may die without a word.
            await asyncio.sleep(poll_s)
            poll_s = min(LAST_POLL_S, poll_s * 2)

    async def _claim(self, wanted: Wanted, token: str) -> Answered | Leave | None:
        if not self.is_up:
            return None
        try:
            async with asyncio.timeout(self._patience.timeout_s):
                said = await self.store.claim(wanted.place, wanted.max_age_s, token)
        except (StoreUnavailable, TimeoutError) as error:
            self._failed(error)
            return None
        return self._read(said) if isinstance(said, Found) else said

    def counted(self, *, is_hit: bool) -> None:
        (self.metrics.hits if is_hit else self.metrics.misses).inc()
        self._hits += is_hit
        self._misses += not is_hit

    async def tell(self) -> None:
        """Adds to what all gateways have counted, for ever."""
        while True:
            await asyncio.sleep(TOLD_S)
            if self.is_up and (self._hits or self._misses):
                for told in self.store.count(self._hits, self._misses):
                    told.add_done_callback(unheard)
                self._hits = self._misses = 0

    def _read(self, found: Found) -> Answered | None:
        try:
            return Answered(decode(found.data), found.age_s)
        except Malformed:
            self.metrics.errors.inc()
            return None

    def _failed(self, error: StoreUnavailable | TimeoutError) -> None:
        self.metrics.errors.inc()
        late = StoreUnavailable(f"no answer within {self._patience.timeout_s:g} s")
        self._watch.failed(error if isinstance(error, StoreUnavailable) else late)


def _give(flight: Flight, answered: Answered) -> None:
    flight.age_s = answered.age_s
    for chunk in answered.chunks:
        flight.add(chunk)
    flight.end()


async def _make(wanted: Wanted, source: Source, flight: Flight) -> None:
    # In pieces, also where this client wants it whole: the next may want a stream.
    calls = tuple(replace(call, is_streamed=True) for call in wanted.calls)
    async with source(calls) as chunks:
        async for chunk in chunks:
            flight.add(chunk)
    flight.end()


@asynccontextmanager
async def open_cache(
    redis: Redis,
    versions: Versions,
    metrics: CacheMetrics,
    patience: Patience,
    *,
    most_bytes: int,
) -> AsyncIterator[Cache]:
    """For as long as the process serves, on connections of its own."""
    watch = StoreWatch()
    async with (
        lane(redis, timeout_s=patience.timeout_s) as finds,
        lane(redis, timeout_s=KEEP_TIMEOUT_S) as keeps,
    ):
        store = ResponseCache(finds, keeps, most_bytes=most_bytes)
        with bare_errors():
            async with asyncio.TaskGroup() as group:
                cache = Cache(store, watch, Flights(group), versions, metrics, patience)
                watcher = group.create_task(watch.run(store.ping, lambda: None))
                teller = group.create_task(cache.tell())
                try:
                    yield cache
                finally:
                    watcher.cancel()
                    teller.cancel()
                    await keeps.drain()
