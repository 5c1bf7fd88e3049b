"""How long a request may take: the time in which it runs, and apart from it that of its pauses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.states import States
from serving.contract.calls import Chunk, SequenceState
from serving.contract.errors import Expired


class Clock:
    """Of its two times one passes at any moment, by what chunks tell. See `limited`."""

    def __init__(self, timeout: asyncio.Timeout, running_s: float, paused_s: float) -> None:
        self.states = States()
        self.is_running = True
        self._timeout = timeout
        self._left_s = {True: running_s, False: paused_s}
        self._loop = asyncio.get_running_loop()
        self._since_s = self._loop.time()

    def saw(self, chunk: Chunk) -> None:
        """Called for every chunk."""
        if not self.states.saw(chunk):
            return
        is_running = self.states.of_request is SequenceState.RUNNING
        if is_running is not self.is_running:
            self._turn(is_running=is_running)

    def _turn(self, *, is_running: bool) -> None:
        now_s = self._loop.time()
        self._left_s[self.is_running] -= now_s - self._since_s
        self.is_running, self._since_s = is_running, now_s
        if not self._timeout.expired():
            self._timeout.reschedule(now_s + self._left_s[is_running])


@asynccontextmanager
async def limited(running_s: float, paused_s: float) -> AsyncIterator[Clock]:
    """The block may run for `running_s`, and be preempted or paused for `paused_s` in all.

    Raises Expired.
    """
    timeout = asyncio.timeout(running_s)
    clock = Clock(timeout, running_s, paused_s)
    try:
        async with timeout:
            yield clock
    except TimeoutError:
        if clock.is_running:
            raise Expired(f"the request took longer than {running_s:g} s") from None
        raise Expired(
            f"the request was preempted or paused for longer than {paused_s:g} s; send it again"
        ) from None
