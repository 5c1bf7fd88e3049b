"""Takes the entries of streams to where they are stored, for as long as it runs.

Read, store, acknowledge after that. Whoever dies in between leaves entries that another one takes
over, so `store` gets some of them twice.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NoReturn

import structlog

from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.patience import patiently
from control_plane.usage.settings import UsageSettings
from serving.adapters.shard_streams import E, ShardStreams

DEFECT_PAUSE_S = 1.0
FORGOTTEN_AFTER_MS = 24 * 3600 * 1000
FORGET_EVERY_S = 3600.0
log: structlog.stdlib.BoundLogger = structlog.get_logger("usage")


def consumer_name() -> str:
    """One that no other process has, nor had the one before under the same pid."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(slots=True)
class Consumer(Generic[E]):
    """One of possibly many; each entry of the streams goes to one of them.

    `store` raises Unavailable when it is to be called again with the same entries.
    """

    stream: ShardStreams[E]
    store: Callable[[Sequence[E]], Awaitable[None]]
    metrics: UsageMetrics
    settings: UsageSettings
    name: str = field(default_factory=consumer_name)
    block_ms: int = 1000  # how long it waits for entries before it looks for stale ones
    _claim_at: float = 0.0
    _forget_at: float = 0.0

    async def run(self) -> NoReturn:
        """Until it is cancelled. Entries of a batch that meets a defect come again later."""
        while True:
            try:
                await self.step()
            except Exception:
                log.exception("usage_batch_failed")
                await asyncio.sleep(DEFECT_PAUSE_S)

    async def step(self) -> int:
        """Waits a little for entries and brings them all the way; how many there were."""
        entries = await patiently(self._next, self.metrics)
        if entries:
            await patiently(lambda: self.store(entries), self.metrics)
            await patiently(lambda: self.stream.ack(entries), self.metrics)
        return len(entries)

    async def _next(self) -> list[E]:
        """Entries that a consumer died with, every now and then; or else new ones."""
        if time.monotonic() >= self._forget_at:
            await self.stream.forget_consumers(FORGOTTEN_AFTER_MS)
            self._forget_at = time.monotonic() + FORGET_EVERY_S
        if time.monotonic() >= self._claim_at:
            idle_ms = round(self.settings.claim_after_s * 1e3)
            if stale := await self.stream.claim_stale(self.name, idle_ms):
                return stale
            self._claim_at = time.monotonic() + self.settings.claim_after_s / 2
        return await self.stream.read(self.name, self.settings.batch, self.block_ms)
