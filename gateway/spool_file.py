"""One file of the spool: usage of one process that Redis could not take, a JSON line each.

The file is locked for as long as its process lives, so that another one sees whether it is dead.
"""

import fcntl
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson
import structlog

from serving.adapters.usage_events import Malformed, of_fields
from serving.contract.usage import UsageEvent

SUFFIX = ".ndjson"
log: structlog.stdlib.BoundLogger = structlog.get_logger("spool")


class Mark(StrEnum):
    """A request began without a lease, or ended."""

    BEGAN = "began"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says."""

    mark: Mark
    event: UsageEvent


def encode(line: Line) -> bytes:
    return orjson.dumps({"mark": line.mark, "event": line.event}) + b"\n"


class SpoolFile:
    """An open and locked file. Its methods block; all of them raise OSError."""

    def __init__(self, path: Path, descriptor: int, *, is_own: bool) -> None:
        self.path = path
        self.is_own = is_own
        self.is_damaged = False
        self._descriptor = descriptor
        self._closing = threading.Lock()
        self._is_closed = False

    @classmethod
    def make(cls, folder: Path, name: str) -> "SpoolFile":
        """A new file, which is still there after a crash of the machine."""
        path = folder / f"{name}{SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        descriptor = os.open(path, flags, mode=0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _sync_folder(folder)
        return cls(path, descriptor, is_own=True)

    @classmethod
    def adopt(cls, path: Path) -> "SpoolFile | None":
        """The file of a process that is dead. None: it lives, or somebody else was quicker."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if os.fstat(descriptor).st_nlink == 0:
            os.close(descriptor)
            return None
        return cls(path, descriptor, is_own=False)

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def append(self, data: bytes) -> None:
        """Whole and on disk when it returns; not there at all when it raises."""
        size = self.size
        try:
            rest = data
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, size)
            raise

    def lines(self) -> list[Line]:
        """All that was written whole. A torn end was never acknowledged to anybody."""
        data = self.path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        if torn:
            log.warning("spool_end_torn", path=str(self.path), bytes=len(torn))
        return list(self._parsed(whole.split(b"\n") if whole else []))

    def _parsed(self, lines: Sequence[bytes]) -> Iterable[Line]:
        for number, text in enumerate(lines, 1):
            try:
                fields = orjson.loads(text)
                yield Line(Mark(fields["mark"]), of_fields(fields["event"]))
            except (ValueError, TypeError, KeyError, Malformed) as error:
                self.is_damaged = True
                log.warning(
                    "spool_line_unreadable", path=str(self.path), line=number, reason=str(error)
                )

    def remove(self) -> None:
        """Its lines are stored elsewhere. What could not be read is left for people to look at."""
        if self.is_damaged:
            self.path.rename(self.path.with_suffix(".damaged"))
        else:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Whoever adopts it next replays it. Closing it again, from any thread, does nothing."""
        with self._closing:
            if not self._is_closed:
                os.close(self._descriptor)
            self._is_closed = True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
