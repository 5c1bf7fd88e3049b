"""Whom an interactive request stops: who loses least, and never unfairly."""

import pytest
from desk import Desk, job_of, policy_of

from serving.bls.scheduling.classes import INTERACTIVE, RANKS
from serving.bls.scheduling.job import Entry, State
from serving.bls.scheduling.scheduler import Act
from serving.bls.scheduling.victims import victim

NOW_S = 100.0


def entry_of(name, *, made=0, prompt=10, since_s=0.0, state=State.RUNNING, **more):
    job = job_of(name, prompt=prompt, **more)
    return Entry(job, since_s, 0.0, state=state, made=made)


def chosen(*entries, last=None, rules=None, rank=INTERACTIVE):
    counts = [sum(e.job.rank == r for e in entries) for r in RANKS.values()]
    policy = policy_of(places=8, rules=rules, min_run_s=1.0)
    return victim(entries, rank, policy, counts, last, NOW_S)


def test_the_lowest_class_is_stopped_first():
    batch = entry_of("batch", made=500)
    assert chosen(entry_of("standard"), entry_of("agent"), batch) is batch


def test_in_a_class_the_one_with_the_fewest_tokens_is_stopped():
    few = entry_of("agent", prompt=10, made=20)
    assert chosen(entry_of("agent", prompt=100), few, entry_of("agent", made=30)) is few


def test_nobody_is_stopped_for_its_own_class_or_a_lower_one():
    assert chosen(entry_of("interactive")) is None
    assert chosen(entry_of("standard"), entry_of("agent"), rank=RANKS["agent"]) is None


def test_nobody_is_stopped_twice_in_a_row():
    last, other = entry_of("batch", since_s=NOW_S - 4.9), entry_of("standard")
    assert chosen(last, other, last=last) is other
    assert chosen(last, last=last) is None


def test_who_was_stopped_last_is_not_spared_for_ever():
    last = entry_of("batch", since_s=NOW_S - 5.0)
    assert chosen(last, last=last) is last


def test_nobody_is_stopped_before_it_ran_for_a_while():
    assert chosen(entry_of("batch", since_s=NOW_S - 0.9)) is None
    old = entry_of("batch", since_s=NOW_S - 1.0)
    assert chosen(entry_of("batch", since_s=NOW_S - 0.9), old) is old


def test_a_class_keeps_its_floor():
    agent, batch = entry_of("agent"), entry_of("batch")
    assert chosen(agent, batch, rules={"batch": {"floor": 1}}) is agent
    rules = {"agent": {"floor": 1}, "batch": {"floor": 1}}
    assert chosen(agent, batch, rules=rules) is None


def test_who_had_to_wait_for_too_long_is_spared():
    young, old = (entry_of("batch", since_s=NOW_S - ran_s) for ran_s in (29.9, 30.0))
    young.is_aged = old.is_aged = True
    assert chosen(young) is None
    assert chosen(young, old) is old  # not for ever: a flood would be of such only


@pytest.mark.parametrize("state", [State.STOPPING, State.WAITING, State.PAUSED, State.ENDED])
def test_who_does_not_run_is_not_stopped(state):
    assert chosen(entry_of("batch", state=state)) is None


def test_one_that_cannot_go_on_is_stopped_before_its_first_token_only():
    begun = entry_of("batch", is_resumable=False, made=1)
    fresh = entry_of("agent", is_resumable=False)
    assert chosen(begun) is None
    assert chosen(begun, fresh) is fresh


def full(*names, **changes):
    """An engine that is full, everybody in it for a while."""
    desk = Desk(places=len(names), min_run_s=1.0, **changes)
    entries = [desk.submit(name) for name in names]
    desk.now_s = 10.0
    return desk, entries


def test_an_interactive_request_stops_one_and_gets_its_place():
    desk, (standard, batch) = full("standard", "batch")
    person = desk.submit("interactive")
    assert desk.told(Act.STOP) == [batch]
    desk.stopped(batch)
    assert desk.running == [standard, person]
    assert (batch.state, batch.preemptions) == (State.WAITING, 1)


def test_while_one_is_stopping_no_other_is_stopped_for_the_same_request():
    desk, _ = full("agent", "agent")
    desk.submit("interactive")
    assert len(desk.told(Act.STOP)) == 1
    assert desk.after(5.0) == []


def test_as_many_are_stopped_as_wait():
    desk, _ = full("agent", "agent", "agent")
    desk.scheduler.submit(job_of("interactive"), 10.0)
    desk.scheduler.submit(job_of("interactive"), 10.0)
    desk.decide()
    assert len(desk.told(Act.STOP)) == 2


def test_one_that_ends_by_itself_spares_the_others():
    desk, (first, second) = full("agent", "agent")
    desk.end(first)
    desk.submit("interactive")
    assert desk.told(Act.STOP) == []
    assert second.state is State.RUNNING


def test_enough_are_stopped_to_make_room_for_the_tokens():
    desk = Desk(places=8, tokens=400, min_run_s=1.0)
    agents = desk.submit_many(4, "agent", prompt=50, answer=50)
    desk.now_s = 10.0
    desk.submit("interactive", prompt=100, answer=80)
    assert len(desk.told(Act.STOP)) == 2
    assert set(desk.told(Act.STOP)) < set(agents)


def test_nobody_is_stopped_for_tokens_of_those_that_have_no_place_anyway():
    desk = Desk(places=8, tokens=800, min_run_s=1.0, rules={"interactive": {"share": 1}})
    desk.submit_many(8, "agent", prompt=50, answer=50)
    desk.now_s = 10.0
    for _ in range(20):
        desk.scheduler.submit(job_of("interactive", prompt=50, answer=50), 10.0)
    desk.decide()
    assert len(desk.told(Act.STOP)) == 1


def test_a_class_at_its_share_stops_nobody():
    desk = Desk(places=2, min_run_s=1.0, rules={"interactive": {"share": 1}})
    desk.submit("interactive")
    desk.submit("agent")
    desk.now_s = 10.0
    desk.submit("interactive")
    assert desk.told(Act.STOP) == []


def test_only_interactive_requests_stop_others():
    desk, _ = full("batch", "batch")
    for name in ("standard", "agent", "batch"):
        desk.submit(name)
        assert desk.told(Act.STOP) == []


@pytest.mark.parametrize("order", ["priority", "fifo"])
def test_without_preemption_nobody_is_stopped(order):
    desk, _ = full("batch", "batch", order=order)
    desk.submit("interactive")
    assert desk.told(Act.STOP) == []


def test_when_the_first_may_be_stopped_is_the_time_to_ask_again():
    desk = Desk(places=2, min_run_s=1.0)
    first = desk.submit("agent")
    desk.now_s = 0.3
    desk.submit("agent")
    desk.now_s = 0.5
    desk.submit("interactive")
    assert desk.scheduler.wake_s(0.5) == 1.0
    desk.now_s = 1.0
    desk.decide()
    assert desk.told(Act.STOP) == [first]


def test_where_nobody_may_be_stopped_there_is_no_time_to_ask_again():
    desk = Desk(places=1, min_run_s=1.0)
    desk.submit("interactive")
    desk.submit("interactive")
    assert desk.scheduler.wake_s(0.0) == 1e9


def test_the_victim_comes_back_before_what_its_tenant_sent_later():
    desk, (agent,) = full("agent")
    later = desk.submit("agent")
    desk.progress(agent, 3)
    person = desk.submit("interactive")
    desk.stopped(agent)
    desk.end(person)
    assert desk.told(Act.ADMIT) == [agent]
    assert later.state is State.WAITING


def test_what_goes_to_the_engine_once_more_is_counted():
    desk, (agent,) = full("agent")
    desk.progress(agent, 3)
    person = desk.submit("interactive")
    desk.stopped(agent)
    desk.end(person)
    counts = desk.scheduler.counts
    assert (counts.admissions, counts.preemptions, counts.resumes) == (3, 1, 1)
    assert counts.resent_tokens == 13


def test_an_aged_one_runs_for_as_long_as_it_had_to_wait_before_it_is_stopped():
    desk = Desk(places=1, aging_s=1.0, aged_every=1, min_run_s=0.1)
    first = desk.submit("interactive")
    batch = desk.submit("batch")
    desk.now_s = 5.0
    desk.end(first)
    assert desk.running == [batch]
    desk.now_s = 5.5
    desk.submit("interactive")
    assert desk.told(Act.STOP) == []
    assert desk.scheduler.wake_s(desk.now_s) == 6.0
    desk.after(0.5)
    assert desk.told(Act.STOP) == [batch]


def test_one_that_left_while_it_was_to_be_stopped_is_not_told_so():
    desk, (agent,) = full("agent")
    desk.scheduler.pause(agent, desk.now_s)
    desk.scheduler.leave(agent, desk.now_s)
    assert desk.decide() == []
