"""Turns: so many sequences inside the engine, and a bounded line of others by arrival."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from serving.contract.errors import QueueFull


class Slots:
    """Places in the engine. Whoever leaves the block gives its place to the first in line."""

    def __init__(
        self, *, places: int, max_waiting: int, on_change: Callable[[int, int], None]
    ) -> None:
        """`on_change` hears how many run and how many wait, after every change."""
        self._semaphore = asyncio.Semaphore(places)
        self._max_waiting = max_waiting
        self._on_change = on_change
        self.waiting = 0
        self.running = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a place. Raises QueueFull at once when as many wait as may wait."""
        if self._semaphore.locked() and self.waiting >= self._max_waiting:
            raise QueueFull(f"{self.waiting} requests wait already; try again later")
        self._change(waiting=1)
        try:
            await self._semaphore.acquire()
        finally:
            self._change(waiting=-1)
        self._change(running=1)
        try:
            yield
        finally:
            self._change(running=-1)
            self._semaphore.release()

    def _change(self, *, running: int = 0, waiting: int = 0) -> None:
        self.running += running
        self.waiting += waiting
        self._on_change(self.running, self.waiting)
