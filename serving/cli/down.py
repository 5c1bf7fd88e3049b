"""`conch down`: stops the stack and waits until nothing of it is left."""

import os
import signal
import time

from serving.cli.connection import layout
from serving.cli.terminal import output
from serving.stack import state
from serving.stack.errors import StackError
from serving.stack.layout import Layout

PATIENCE_S = 8.0
POLL_S = 0.05


def down() -> None:
    """Stop the stack of this var folder."""
    here = layout()
    running = state.running(here)
    if running is None and state.is_free(here):
        output.print(f"no stack is running in {here.root}")
        return
    if running is not None:
        _stop(here, running.pid)
    elif not _is_gone(here, PATIENCE_S):
        raise StackError(f"{here.lock_file} is held by a stack that has not come up; try again")
    output.print("stopped")


def _stop(here: Layout, pid: int) -> None:
    with output.status("stopping"):
        for number in (signal.SIGTERM, signal.SIGKILL):
            _send(pid, number)
            if _is_gone(here, PATIENCE_S, pid):
                return
    raise StackError(f"the supervisor (pid {pid}) does not end; see {here.log_of('supervisor')}")


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise StackError(f"the supervisor (pid {pid}) belongs to another user") from error


def _is_gone(here: Layout, patience_s: float, pid: int | None = None) -> bool:
    deadline = time.monotonic() + patience_s
    while not state.is_free(here) or (pid is not None and state.is_alive(pid)):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
