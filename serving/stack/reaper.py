"""Ends the sessions of a supervisor that is gone: a process of its own, standard library only.

It reads `+ <session>` and `- <session>` lines from the supervisor; the end of that pipe, for
whatever reason, ends what is still listed and removes the stack's shared memory.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the kernel has it, not a temporary file
GRACE_S = 1.0
POLL_S = 0.02


def members(session: int) -> list[int]:
    """The live processes of a session; zombies do not count, nobody may ever collect them."""
    return [pid for pid in _pids() if _is_member(pid, session)]


def _is_member(pid: int, session: int) -> bool:
    state, _parent, of = _stat(pid)
    return of == session and state not in "ZX"


def has_dead_child(pid: int) -> bool:
    """Whether a child of `pid` has ended without being collected."""
    return any(_stat(child)[:2] == ("Z", pid) for child in _pids())


def inhabitants(folder: Path) -> list[int]:
    """The processes that work in `folder`: servers whose children have sessions of their own."""
    return [pid for pid in _pids() if _works_in(pid, folder)]


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder
    except OSError:  # it has gone, or is another user's
        return False


def evict(folder: Path) -> None:
    """Kills those."""
    while pids := inhabitants(folder):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_S)


def _pids() -> Iterable[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208


def _stat(pid: int) -> tuple[str, int, int]:
    """State, parent and session of a process; state X when it has gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "X", 0, 0
    state, parent, _group, session = stat.rpartition(")")[2].split()[:4]
    return state, int(parent), int(session)


def send(session: int, number: signal.Signals) -> bool:
    """Signals every process of a session; False when there was none."""
    pids = members(session)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return bool(pids)


def remove_shared_memory(prefix: str) -> None:
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


def end(sessions: Iterable[int], *, grace_s: float = GRACE_S) -> None:
    """Asks the sessions to end, and kills what is left after `grace_s`."""
    left = {session for session in sessions if send(session, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = {session for session in left if members(session)}
    while left:
        left = {session for session in left if send(session, signal.SIGKILL)}
        time.sleep(POLL_S)


def main(shm_prefix: str) -> None:
    # Only the end of the pipe ends it: whoever stops the supervisor needs it most.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions: set[int] = set()
    for line in sys.stdin:
        sign, _, session = line.strip().partition(" ")
        (sessions.add if sign == "+" else sessions.discard)(int(session))
    end(sessions)
    remove_shared_memory(shm_prefix)


if __name__ == "__main__":
    main(sys.argv[1])
