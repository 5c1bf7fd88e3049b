"""Waiting for room in the engine's LoRA cache: bounded in time and in number."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from random import uniform

from serving.bls.adapter_mirror import Mirror
from serving.contract.errors import AdaptersBusy

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5
RETRY_AFTER_S = 1.0


@dataclass(slots=True)
class Patience:
    """How much longer one request may look for room, and how often it may be told of a miss."""

    until_s: float
    pause_s: float = FIRST_PAUSE_S
    misses_left: int = 3


class Room:
    """`max_waiting`: who waits here holds a place in the engine that others could use."""

    def __init__(self, mirror: Mirror, *, wait_s: float, max_waiting: int) -> None:
        self._mirror = mirror
        self._wait_s = wait_s
        self._max_waiting = max_waiting
        self.waiting = 0

    def patience(self) -> Patience:
        return Patience(time.monotonic() + self._wait_s)

    async def wait(self, patience: Patience) -> None:
        """Until an adapter is no longer in use, or for a while: the engine has other users too.

        Raises AdaptersBusy when the patience is at its end, or too many wait.
        """
        left_s = patience.until_s - time.monotonic()
        if left_s <= 0 or self.waiting >= self._max_waiting:
            raise _busy(self._mirror.capacity)
        self.waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _jittered(patience.pause_s))):
                    await self._mirror.freed()
        finally:
            self.waiting -= 1
        patience.pause_s = min(2 * patience.pause_s, LONGEST_PAUSE_S)


def _jittered(pause_s: float) -> float:
    return uniform(0.5, 1.0) * pause_s  # noqa: S311 -- keeps the waiting apart, protects nothing


def _busy(capacity: int) -> AdaptersBusy:
    error = AdaptersBusy(
        f"the engine holds {capacity} adapters and all of them are in use; try again soon",
        param="adapter",
    )
    error.retry_after_s = RETRY_AFTER_S
    return error
