"""Pause and resume, of one and of a class, wherever it stands."""

import pytest
from desk import Desk

from serving.bls.scheduling.job import State
from serving.bls.scheduling.scheduler import Act
from serving.contract.errors import Conflict


def in_state(state, **more):
    """An agent request in that state, in an engine of one place."""
    desk = Desk(places=1, min_run_s=0.0)
    if state is State.WAITING:
        desk.submit("standard")
    entry = desk.submit("agent", **more)
    if state in (State.PAUSED, State.STOPPING):
        desk.progress(entry)
        desk.pause(entry)
    if state is State.PAUSED:
        desk.stopped(entry)
    if state is State.ENDED:
        desk.end(entry)
    assert entry.state is state
    return desk, entry


def paused(desk, entry):
    """Once the engine has let go of it."""
    if entry.state is State.STOPPING:
        desk.stopped(entry)
    return entry.state is State.PAUSED


def test_a_running_one_leaves_the_engine_first():
    desk, entry = in_state(State.RUNNING)
    desk.pause(entry)
    assert (desk.told(Act.STOP), entry.state) == ([entry], State.STOPPING)
    desk.stopped(entry)
    assert (entry.state, desk.running) == (State.PAUSED, [])


def test_a_waiting_one_leaves_the_line_at_once():
    desk, entry = in_state(State.WAITING)
    assert desk.pause(entry) == []
    assert (entry.state, len(desk.scheduler.lines)) == (State.PAUSED, 0)
    desk.end(desk.running[0])
    assert desk.running == []


def test_one_that_is_being_preempted_is_paused_once_it_is_out():
    desk = Desk(places=1, min_run_s=0.0)
    entry = desk.submit("agent")
    desk.submit("interactive")
    assert entry.state is State.STOPPING
    assert desk.pause(entry) == []
    desk.stopped(entry)
    assert entry.state is State.PAUSED


@pytest.mark.parametrize("state", [State.RUNNING, State.WAITING, State.STOPPING, State.PAUSED])
def test_paused_twice_it_is_paused_once(state):
    desk, entry = in_state(state)
    desk.pause(entry)
    desk.pause(entry)
    assert paused(desk, entry)
    desk.resume(entry)
    assert entry.state in (State.RUNNING, State.WAITING)


@pytest.mark.parametrize("state", [State.RUNNING, State.WAITING])
def test_resume_of_one_that_is_not_paused_changes_nothing(state):
    desk, entry = in_state(state)
    assert desk.resume(entry) == []
    assert entry.state is state


def test_resumed_before_it_left_the_engine_it_waits_for_its_turn():
    desk, entry = in_state(State.STOPPING)
    assert desk.resume(entry) == []
    desk.stopped(entry)
    assert (desk.told(Act.ADMIT), entry.state) == ([entry], State.RUNNING)


def test_resumed_it_waits_for_its_turn():
    desk, entry = in_state(State.PAUSED)
    running = desk.submit("standard")
    desk.resume(entry)
    assert entry.state is State.WAITING
    desk.end(running)
    assert desk.told(Act.ADMIT) == [entry]


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_one_that_has_ended_stays_so(act):
    desk, entry = in_state(State.ENDED)
    assert getattr(desk, act)(entry) == []
    assert entry.state is State.ENDED
    assert list(desk.scheduler.entries()) == []


def test_one_that_has_begun_and_could_not_go_on_is_not_paused():
    desk, entry = in_state(State.RUNNING, is_resumable=False)
    desk.progress(entry)
    with pytest.raises(Conflict, match=f"'{entry.job.id}' has begun"):
        desk.pause(entry)
    assert (entry.state, entry.is_to_pause) == (State.RUNNING, False)


def test_one_that_could_not_go_on_is_paused_before_its_first_token():
    desk, entry = in_state(State.RUNNING, is_resumable=False)
    desk.pause(entry)
    assert paused(desk, entry)


@pytest.mark.parametrize("state", [State.RUNNING, State.WAITING, State.STOPPING, State.PAUSED])
def test_who_leaves_while_paused_or_on_the_way_leaves_nothing(state):
    desk, entry = in_state(state)
    desk.scheduler.pause(entry, desk.now_s)
    desk.end(entry)
    assert entry.state is State.ENDED
    assert desk.told(Act.STOP) == []
    assert entry not in list(desk.scheduler.entries())
    assert desk.resume(entry) == []


@pytest.mark.parametrize("state", [State.RUNNING, State.WAITING, State.STOPPING, State.PAUSED])
def test_with_its_class_it_is_paused_and_goes_on(state):
    desk, entry = in_state(state)
    desk.pause_class("agent")
    assert paused(desk, entry)
    desk.resume(entry)
    assert entry.state is State.PAUSED
    desk.resume_class("agent")
    assert entry.state in (State.RUNNING, State.WAITING)


def test_who_comes_while_its_class_is_paused_is_paused():
    desk = Desk(places=1)
    desk.pause_class("agent")
    entry = desk.submit("agent")
    assert (entry.state, desk.running) == (State.PAUSED, [])
    desk.resume_class("agent")
    assert desk.running == [entry]


def test_other_classes_go_on_while_one_is_paused():
    desk = Desk(places=4)
    names = ("interactive", "standard", "agent", "batch")
    entries = [desk.submit(name) for name in names]
    desk.pause_class("agent")
    assert desk.told(Act.STOP) == [entries[2]]
    assert desk.submit("batch").state is State.WAITING
    assert len(desk.running) == 3


def test_who_was_paused_by_itself_stays_so_when_its_class_goes_on():
    desk, entry = in_state(State.PAUSED)
    desk.pause_class("agent")
    desk.resume_class("agent")
    assert entry.state is State.PAUSED
    desk.resume(entry)
    assert entry.state is State.RUNNING


def test_one_of_a_paused_class_that_cannot_be_stopped_goes_on():
    desk, entry = in_state(State.RUNNING, is_resumable=False)
    desk.progress(entry)
    desk.pause_class("agent")
    assert (entry.state, desk.decisions) == (State.RUNNING, [])
    desk.end(entry)
    assert desk.submit("agent").state is State.PAUSED


def test_a_class_that_is_resumed_before_it_left_the_engine_comes_back():
    desk, entry = in_state(State.RUNNING)
    desk.pause_class("agent")
    desk.resume_class("agent")
    desk.stopped(entry)
    assert entry.state is State.RUNNING


def test_a_paused_one_holds_no_place():
    desk, entry = in_state(State.PAUSED)
    other = desk.submit("batch")
    assert desk.running == [other]
    assert desk.scheduler.room.tokens == other.job.tokens
    assert desk.scheduler.waiting_of(entry.job.rank) == 1


def test_time_in_pause_is_counted_apart():
    desk, entry = in_state(State.PAUSED)
    desk.after(7.0)
    desk.resume(entry)
    assert (entry.halted_s, entry.waited_s) == (7.0, 0.0)
