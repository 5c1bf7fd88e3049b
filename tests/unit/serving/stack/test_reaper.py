"""The reaper as a real process that watches real sessions."""

import subprocess
import sys
import time

import pytest

from serving.stack import reaper

STUBBORN = "trap '' TERM; sleep 60 & wait; sleep 60"


@pytest.fixture
def session():
    """A session of a shell and its child that do not care about SIGTERM."""
    process = subprocess.Popen(["bash", "-c", STUBBORN], start_new_session=True)
    deadline = time.monotonic() + 5
    while len(reaper.members(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    yield process.pid
    reaper.end([process.pid], grace_s=0)
    process.wait()


@pytest.fixture
def start_reaper():
    started = []

    def start(prefix="conch_unit_none_"):
        line = [sys.executable, "-I", "-S", reaper.__file__, prefix]
        started.append(subprocess.Popen(line, stdin=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.stdin.close()
        process.wait()


def test_end_of_the_pipe_ends_the_session_and_its_shared_memory(session, start_reaper):
    region = reaper.SHARED_MEMORY / f"conch_unit_{session}_region"
    region.write_text("x")
    process = start_reaper(f"conch_unit_{session}_")
    process.stdin.write(f"+ {session}\n")
    process.stdin.close()
    assert process.wait(timeout=5) == 0
    assert reaper.members(session) == []
    assert not region.exists()


def test_removed_session_is_left_alone(session, start_reaper):
    process = start_reaper()
    process.stdin.write(f"+ {session}\n- {session}\n")
    process.stdin.close()
    assert process.wait(timeout=5) == 0
    assert len(reaper.members(session)) == 2


def test_stop_signals_do_not_end_the_reaper(start_reaper):
    process = start_reaper()
    process.stdin.write("+ 999999999\n")
    process.stdin.flush()
    time.sleep(0.2)
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.2)


def test_zombie_is_a_dead_child_and_no_member():
    process = subprocess.Popen(["true"], start_new_session=True)
    parent = reaper._stat(process.pid)[1]
    deadline = time.monotonic() + 5
    while reaper.members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert reaper.members(process.pid) == []
    assert reaper.has_dead_child(parent)
    process.wait()
    assert not reaper.has_dead_child(process.pid)
