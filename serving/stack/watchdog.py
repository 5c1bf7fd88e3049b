"""The supervisor's side of the reaper: keeps one alive and tells it which sessions to end."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from serving.stack import reaper


class Watchdog:
    """Knows the sessions of the parts. A reaper that dies is replaced, and told them all again."""

    def __init__(self, shm_prefix: str, lock: int) -> None:
        self._shm_prefix = shm_prefix
        self._lock = lock
        self._sessions: set[int] = set()
        self._reaper: Process | None = None

    def add(self, session: int) -> None:
        self._sessions.add(session)
        self._tell(f"+ {session}\n")

    def remove(self, session: int) -> None:
        self._sessions.discard(session)
        self._tell(f"- {session}\n")

    def _tell(self, line: str) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.write(line.encode())

    async def _start(self) -> Process:
        # -I -S: nothing of the environment or of site-packages may keep it from starting.
        self._reaper = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", reaper.__file__, self._shm_prefix),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        for session in self._sessions:
            self._tell(f"+ {session}\n")
        return self._reaper

    async def _keep(self, process: Process) -> None:
        while True:
            await process.wait()
            process = await self._start()

    async def _release(self) -> None:
        """Closes the pipe: the reaper ends what is listed still, cleans up and goes."""
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            await self._reaper.wait()


@asynccontextmanager
async def watchdog(shm_prefix: str, lock: int) -> AsyncIterator[Watchdog]:
    """A watchdog with its reaper, which holds `lock` too; on the way out it has cleaned up."""
    dog = Watchdog(shm_prefix, lock)
    keeper = asyncio.create_task(dog._keep(await dog._start()))  # noqa: SLF001
    try:
        yield dog
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await dog._release()  # noqa: SLF001
