"""What a running stack writes down for `conch status` and `conch down`, and the lock it holds."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from pydantic import TypeAdapter, ValidationError

from serving.stack import reaper
from serving.stack.errors import StackError
from serving.stack.layout import Layout, write_private

CLEANUP_S = 10.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class PartState:
    """A part as last seen. `started_at` tells its process from a later one with the same pid."""

    name: str
    health: str
    pid: int | None
    started_at: float | None
    restarts: int
    trouble: str | None
    ports: dict[str, int]


@dataclass(frozen=True, slots=True)
class StackState:
    """A stack as last seen. `triton_http` is None when its Triton is not its own."""

    pid: int
    started_at: float
    shm_prefix: str
    base_url: str
    model: str
    triton_http: str | None
    is_ready: bool
    parts: tuple[PartState, ...]
    control_url: str | None = None


_STATE = TypeAdapter(StackState)


def read(layout: Layout) -> StackState | None:
    """The state of the last stack in this var folder, running or not."""
    try:
        return _STATE.validate_json(layout.state_file.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def write(layout: Layout, state: StackState) -> None:
    write_private(layout.state_file, _STATE.dump_json(state, indent=2).decode())


def is_process(pid: int | None, started_at: float | None) -> bool:
    """Whether `pid` is a live process and still the one that started then."""
    return pid is not None and is_alive(pid) and started_at == created_at(pid)


def created_at(pid: int) -> float | None:
    """When the process was started, by the clock of the kernel; None when it has gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only what is left of one that has ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def running(layout: Layout) -> StackState | None:
    """The state of the stack whose supervisor lives, or None."""
    state = read(layout)
    return state if state is not None and is_process(state.pid, state.started_at) else None


@contextmanager
def locked(layout: Layout) -> Iterator[int]:
    """Holds the stack's lock and gives its descriptor, which the reaper shares.

    So it is free only when the reaper has also ended: a start right after a killed supervisor waits
    for the cleaning up. Raises StackError when a stack is running.
    """
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait_for_lock(layout, descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for_lock(layout: Layout, descriptor: int) -> None:
    deadline = time.monotonic() + CLEANUP_S
    while not _take(descriptor):
        state = running(layout)
        if state is not None:
            raise StackError(
                f"a stack is already running in {layout.root} (pid {state.pid}, {state.base_url}); "
                "`conch down` stops it, CONCH_VAR names another folder"
            )
        if time.monotonic() > deadline:
            raise StackError(f"{layout.lock_file} is held by another process; `conch down` first")
        time.sleep(POLL_S)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(layout: Layout) -> bool:
    """Whether nothing of a stack is left: neither a supervisor nor a reaper at work."""
    if not layout.lock_file.exists():
        return True
    descriptor = os.open(layout.lock_file, os.O_RDWR)
    try:
        return _take(descriptor)
    finally:
        os.close(descriptor)


def end_leftovers(layout: Layout) -> None:
    """Ends parts whose supervisor and reaper were both killed. Call it with the lock held."""
    state = read(layout)
    if state is None:
        return
    left = [part.pid for part in state.parts if is_process(part.pid, part.started_at)]
    reaper.end(pid for pid in left if pid is not None)
    reaper.remove_shared_memory(state.shm_prefix)
