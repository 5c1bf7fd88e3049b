import os
import subprocess
import sys
import time

import psutil
import pytest

from serving.stack import reaper, state
from serving.stack.errors import StackError
from serving.stack.layout import Layout
from serving.stack.state import PartState, StackState


@pytest.fixture
def layout(tmp_path):
    layout = Layout(tmp_path)
    layout.prepare()
    return layout


def a_state(pid=None, started_at=None, parts=()):
    return StackState(
        pid=os.getpid() if pid is None else pid,
        started_at=psutil.Process().create_time() if started_at is None else started_at,
        shm_prefix="conch_unit_state_",
        base_url="http://127.0.0.1:8080/v1",
        model="demo",
        triton_http=None,
        is_ready=True,
        parts=tuple(parts),
    )


def a_part(pid, started_at):
    return PartState("triton", "ready", pid, started_at, 2, None, {"http": 8000})


def test_state_is_read_as_written(layout):
    written = a_state(parts=[a_part(1, 2.5)])
    state.write(layout, written)
    assert state.read(layout) == written


def test_broken_or_missing_state_is_none(layout):
    assert state.read(layout) is None
    layout.state_file.write_text("{")
    assert state.read(layout) is None


def test_recycled_pid_is_not_the_supervisor(layout):
    state.write(layout, a_state(started_at=1.0))
    assert state.running(layout) is None
    state.write(layout, a_state())
    assert state.running(layout) is not None


def test_second_stack_is_refused_with_pid_and_address(layout):
    with state.locked(layout):
        state.write(layout, a_state())
        with (
            pytest.raises(StackError, match=rf"already running .*pid {os.getpid()}.*:8080"),
            state.locked(layout),
        ):
            pass
    assert state.is_free(layout)


def test_lock_is_waited_for_while_the_reaper_of_a_killed_stack_works(layout):
    with state.locked(layout) as lock:
        line = [sys.executable, "-c", "import time; time.sleep(0.5)"]
        cleaner = subprocess.Popen(line, pass_fds=(lock,))
    assert not state.is_free(layout)
    begun = time.monotonic()
    with state.locked(layout):
        assert time.monotonic() - begun > 0.1
    cleaner.wait()


def test_leftovers_of_a_stack_without_reaper_are_ended(layout):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    started_at = psutil.Process(process.pid).create_time()
    state.write(layout, a_state(pid=1, parts=[a_part(process.pid, started_at), a_part(1, 1.0)]))
    state.end_leftovers(layout)
    assert process.wait(timeout=5) != 0
    assert reaper.members(process.pid) == []
