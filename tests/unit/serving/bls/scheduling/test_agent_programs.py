"""Calls of one agent run keep their turn and their prefix while its tools work."""

import pytest
from desk import Desk

from serving.bls.scheduling import programs as module
from serving.bls.scheduling.programs import Programs
from serving.bls.scheduling.scheduler import Act
from serving.contract.errors import QueueFull


@pytest.fixture
def programs():
    return Programs(idle_s=30.0, max_held=100)


def test_a_later_call_has_the_time_of_the_first(programs):
    assert programs.enter("run", 1.0) == 1.0
    programs.leave("run", 10, 5.0)
    assert programs.enter("run", 20.0) == 1.0


def test_calls_at_a_time_are_of_one_program(programs):
    programs.enter("run", 1.0)
    assert programs.enter("run", 2.0) == 1.0
    programs.leave("run", 10, 5.0)
    assert (len(programs), programs.held_tokens) == (1, 0)
    programs.leave("run", 20, 6.0)
    assert (len(programs), programs.held_tokens) == (1, 20)


def test_after_its_idle_time_a_program_has_lost_turn_and_prefix(programs):
    programs.enter("run", 1.0)
    programs.leave("run", 10, 5.0)
    programs.expire(34.9)
    assert programs.held_tokens == 10
    programs.expire(35.0)
    assert (len(programs), programs.held_tokens) == (0, 0)
    assert programs.enter("run", 36.0) == 36.0


def test_the_next_call_takes_up_the_prefix_that_was_held_for_it(programs):
    programs.enter("run", 1.0)
    programs.leave("run", 10, 5.0)
    programs.enter("run", 6.0)
    assert programs.held_tokens == 0


def test_who_has_rested_longest_loses_its_prefix_first_and_keeps_its_turn(programs):
    for number, name in enumerate(("old", "new")):
        programs.enter(name, float(number))
        programs.leave(name, 60, float(number))
    assert programs.held_tokens == 60
    programs.enter("new", 3.0)
    assert programs.held_tokens == 0
    assert programs.enter("old", 4.0) == 0.0


def test_a_prefix_that_is_larger_than_what_may_be_held_is_not_held(programs):
    programs.enter("run", 1.0)
    programs.leave("run", 101, 5.0)
    assert (len(programs), programs.held_tokens) == (1, 0)


def test_no_more_programs_rest_than_stated(programs, monkeypatch):
    monkeypatch.setattr(module, "MAX_PROGRAMS", 10)
    for number in range(50):
        programs.enter(f"{number}", float(number) / 50)
        programs.leave(f"{number}", 1, float(number) / 50)
    assert (len(programs), programs.held_tokens) == (10, 10)
    assert programs.enter("45", 2.0) == 0.9


def test_the_next_idle_end_is_that_of_who_rests_longest(programs):
    assert programs.next_s() is None
    for now_s in (1.0, 2.0):
        programs.enter(f"{now_s}", now_s)
        programs.leave(f"{now_s}", 1, now_s)
    assert programs.next_s() == 31.0


def test_a_call_of_a_program_goes_before_what_its_tenant_sent_since():
    desk = Desk(places=1)
    desk.end(desk.submit("agent", program="run"))
    desk.now_s = 1.0
    running, *others = desk.submit_many(3, "agent")
    desk.now_s = 2.0
    call = desk.submit("agent", program="run")
    desk.end(running)
    assert desk.told(Act.ADMIT) == [call]
    assert desk.admitted() == others


def test_a_call_after_the_idle_time_stands_at_the_end():
    desk = Desk(places=1, program_idle_s=5.0)
    desk.end(desk.submit("agent", program="run"))
    desk.now_s = 6.0
    _, *others = desk.submit_many(3, "agent")
    call = desk.submit("agent", program="run")
    assert desk.admitted() == [*others, call]


def test_a_refused_call_opens_no_program():
    desk = Desk(places=1, rules={"agent": {"max_waiting": 0}})
    desk.submit()
    with pytest.raises(QueueFull):
        desk.submit("agent", program="run")
    assert len(desk.scheduler.programs) == 0


def test_programs_are_no_more_when_all_calls_have_ended_and_idled():
    desk = Desk(places=1)
    for entry in [desk.submit("agent", program=f"run-{n % 2}") for n in range(6)]:
        desk.end(entry)
    desk.after(31.0)
    assert len(desk.scheduler.programs) == 0
