"""Keeping answers: which of those that were made, and no more at a time than Redis takes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.cache_entry import encode, is_fit
from gateway.cache_metrics import CacheMetrics
from gateway.cache_versions import Versions
from gateway.cache_wanted import Wanted
from gateway.store_watch import StoreWatch
from serving.adapters.redis_wire import Reply
from serving.adapters.response_cache import Entry, Leave, ResponseCache
from serving.contract.calls import Chunk

MOST_WAITING_BYTES = 16 << 20
_PURGED, _NO_ROOM = -1, -2


@dataclass(frozen=True, slots=True)
class Made:
    """An answer that was made with `leave`, whose `token` is; it was begun at `began_s`, by the
    monotonic clock.
    """

    chunks: Sequence[Chunk]
    leave: Leave
    token: str
    began_s: float


class Keeping:
    """Nobody waits for it. `waiting_bytes` are of answers on their way to Redis."""

    def __init__(
        self, store: ResponseCache, watch: StoreWatch, versions: Versions, metrics: CacheMetrics
    ) -> None:
        self.waiting_bytes = 0
        self._store = store
        self._watch = watch
        self._versions = versions
        self._metrics = metrics

    async def offer(self, wanted: Wanted, made: Made) -> bool:
        """Whether it is on its way."""
        data = encode(made.chunks) if is_fit(made.chunks, wanted.choices) else b""
        reason = self._reason(wanted, data) or await self._changed(wanted, made)
        if reason is not None:
            self._metrics.stores.labels(reason).inc()
            return False
        entry = Entry(data, wanted.tags, wanted.ttl_s, made.leave.begun_ms)
        self.waiting_bytes += len(data)
        kept = self._store.keep(wanted.place, entry, made.token)
        kept.add_done_callback(lambda done: self._kept(done, len(data)))
        return True

    def _reason(self, wanted: Wanted, data: bytes) -> str | None:
        """Why it is not kept."""
        if not data:
            return "unfit"
        if len(data) > wanted.max_bytes:
            return "too_large"
        is_busy = self.waiting_bytes + len(data) > MOST_WAITING_BYTES
        return "busy" if is_busy or not self._watch.is_up else None

    async def _changed(self, wanted: Wanted, made: Made) -> str | None:
        """Another version may have made it than was there when it was looked for."""
        found = await self._versions.of(wanted.model, wanted.adapter, since_s=made.began_s)
        return None if found == wanted.versions else "changed"

    def _kept(self, done: asyncio.Future[Reply], size: int) -> None:
        self.waiting_bytes -= size
        if done.cancelled() or done.exception() is not None:
            self._metrics.stores.labels("failed").inc()
            return
        said: int = done.result()
        result = {_PURGED: "purged", _NO_ROOM: "no_room"}.get(said, "stored")
        self._metrics.stores.labels(result).inc()
        if said >= 0:
            self._metrics.bytes.inc(size)
            self._metrics.evictions.inc(said)
