"""Usage on local disk while Redis is away: nothing that was acknowledged is lost by a crash."""

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.spool_file import SUFFIX, Line, Mark, SpoolFile, encode
from serving.contract.usage import UsageEvent

MOST_BYTES = 256 << 20
T = TypeVar("T")


class SpoolFailed(Exception):
    """The disk did not take it; nothing of it will be replayed."""


class Spool:
    """The spool of one process, in files of its own. One thread does all that touches the disk."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder cannot be written."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._file = SpoolFile.make(folder, _name())
        self._lock = threading.Lock()
        self._pending: list[bytes] = []
        self._is_scheduled = False
        self._write: asyncio.Future[None]
        self._running: dict[str, UsageEvent] = {}
        self._has_ended = False
        self.bytes = 0

    @property
    def is_full(self) -> bool:
        return self.bytes >= MOST_BYTES

    async def began(self, event: UsageEvent) -> None:
        """A request without a lease; `event` stands for it if this process dies."""
        self._running[event.id] = event
        try:
            await self._append(Line(Mark.BEGAN, event))
        except SpoolFailed:
            self.forget(event.id)
            raise

    async def ended(self, event: UsageEvent) -> None:
        self._has_ended = True
        await self._append(Line(Mark.ENDED, event))
        self.forget(event.id)

    def forget(self, event_id: str) -> None:
        """It has ended, and its usage is stored."""
        self._running.pop(event_id, None)

    async def taken(self) -> SpoolFile | None:
        """All that was written so far, to be replayed; None when that is of no use yet.

        What still runs is written anew first, so it may stand in both. Raises OSError.
        """
        if not self.bytes or (self._running and not self._has_ended):
            return None
        self._has_ended = False
        try:
            return await self._in_thread(self._rotate, dict(self._running))
        except OSError:
            self._has_ended = True
            raise

    async def dead_files(self) -> list[SpoolFile]:
        """Files of processes that are no more. Raises OSError."""
        return await self._in_thread(self._adopted)

    async def close(self) -> None:
        """What is still in it waits for the next process."""
        is_needed = self._has_ended or self._running
        await self._in_thread(self._file.close if is_needed else self._file.remove)
        self._thread.shutdown()

    async def _append(self, line: Line) -> None:
        """On disk when it returns; lines that come in meanwhile are written together."""
        with self._lock:
            self._pending.append(encode(line))
            is_first, self._is_scheduled = not self._is_scheduled, True
        if is_first:
            self._write = self._in_thread(self._write_pending)
        try:
            await asyncio.shield(self._write)
        except OSError as error:
            raise SpoolFailed(f"{self._file.path}: {error.strerror}") from error

    def _write_pending(self) -> None:
        with self._lock:
            self._is_scheduled = False
            pending, self._pending = self._pending, []
        data = b"".join(pending)
        self._file.append(data)
        self.bytes += len(data)

    def _rotate(self, running: Mapping[str, UsageEvent]) -> SpoolFile:
        fresh = SpoolFile.make(self._folder, _name())
        data = b"".join(encode(Line(Mark.BEGAN, event)) for event in running.values())
        try:
            fresh.append(data)
        except OSError:
            fresh.remove()
            raise
        old, self._file, self.bytes = self._file, fresh, len(data)
        return old

    def _adopted(self) -> list[SpoolFile]:
        found = (SpoolFile.adopt(path) for path in sorted(self._folder.glob(f"*{SUFFIX}")))
        return [file for file in found if file is not None]

    def _in_thread(self, work: Callable[..., T], *given: object) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, work, *given)


def _name() -> str:
    return f"{os.getpid()}-{secrets.token_hex(8)}"


def outcomes(lines: Sequence[Line]) -> tuple[dict[str, UsageEvent], dict[str, UsageEvent]]:
    """By id: the events that ended, and those that only began."""
    ended = {line.event.id: line.event for line in lines if line.mark is Mark.ENDED}
    began = {line.event.id: line.event for line in lines if line.event.id not in ended}
    return ended, began
