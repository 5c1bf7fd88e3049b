"""One queue of commands before one connection: what is asked for together travels together."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from serving.adapters.redis import Redis, StoreRefused, StoreUnavailable, ours
from serving.adapters.redis_scripts import Command
from serving.adapters.redis_wire import TIMEOUT_S, Reply, Wire

CAPACITY = 10_000
LINGER_S = 0.004
BATCH = 256
CLOSED = "the connection to Redis is being closed"
FULL = f"{CAPACITY} commands wait for Redis already"

Asked = tuple[Command, asyncio.Future[Reply]]


def unheard(done: asyncio.Future[Any]) -> None:
    """To be called when a reply that nobody awaits is there: a failure that nobody looks at is
    reported by asyncio as a defect.
    """
    if not done.cancelled():
        done.exception()


class Lane:
    """Sends what has come in since the last batch as one batch, in order."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: list[Asked] = []
        self._is_wanted = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def ask(self, command: Command, *, is_urgent: bool = True) -> asyncio.Future[Reply]:
        """The reply to come; it raises StoreUnavailable. One that nobody awaits is sent all the
        same. What is not urgent waits up to LINGER_S for company.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self._is_closed or len(self._waiting) >= CAPACITY:
            # A full lane says nothing of Redis: nobody may conclude that it is away.
            future.set_exception(
                StoreUnavailable(CLOSED) if self._is_closed else StoreRefused(FULL)
            )
            return future
        self._waiting.append((command, future))
        self._is_idle.clear()
        if is_urgent:
            self._is_wanted.set()
        elif self._timer is None:
            self._timer = self._loop.call_later(LINGER_S, self._is_wanted.set)
        return future

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._is_wanted.wait()
            await self._send(self._taken())
            if not self._waiting:
                self._is_idle.set()

    async def drain(self) -> None:
        """Until nothing waits for an answer."""
        self._is_wanted.set()
        await self._is_idle.wait()

    def close(self) -> None:
        """Fails all that was not sent, and all that comes."""
        self._is_closed = True
        _fail(self._waiting, StoreUnavailable(CLOSED))
        self._waiting = []

    def _taken(self) -> list[Asked]:
        self._is_wanted.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if self._waiting:
            self._is_wanted.set()
        return taken

    async def _send(self, batch: list[Asked]) -> None:
        if not batch:
            return
        try:
            replies = await self._wire.send([command for command, _ in batch])
        except StoreUnavailable as error:
            _fail(batch, error)
        except asyncio.CancelledError:
            _fail(batch, StoreUnavailable(CLOSED))
            raise
        else:
            for (_, future), reply in zip(batch, replies, strict=True):
                _answer(future, reply)


def _answer(future: asyncio.Future[Reply], reply: Reply) -> None:
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(ours(reply))
    else:
        future.set_result(reply)


def _fail(batch: Iterable[Asked], error: StoreUnavailable) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(type(error)(*error.args))


@asynccontextmanager
async def lane(redis: Redis, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Lane]:
    """A lane for as long as the block lasts; what waits at its end fails."""
    made = Lane(Wire(redis, timeout_s=timeout_s))
    runner = asyncio.create_task(made.run(), name="redis-lane")
    try:
        yield made
    finally:
        runner.cancel()
        made.close()
        await asyncio.wait([runner])
