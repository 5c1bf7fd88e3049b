"""What cannot be served is refused with its reason, as early as it is known."""

import pytest
from desk import Desk

from serving.bls.scheduling.drain import ENOUGH
from serving.bls.scheduling.job import State
from serving.bls.scheduling.scheduler import Act
from serving.contract.errors import Expired, QueueFull, Refused


def measured(*, interval_s=2.0, **changes):
    """A desk that knows how fast places come free: one runs, and none waits."""
    desk = Desk(places=1, **changes)
    for _ in range(ENOUGH + 2):
        desk.submit()
    for _ in range(ENOUGH + 1):
        desk.after(interval_s)
        desk.end(desk.running[0])
    assert desk.scheduler.drain.interval_s == pytest.approx(interval_s)
    return desk


def test_a_full_line_refuses_whoever_comes():
    desk = Desk(places=1, rules={"agent": {"max_waiting": 2}})
    desk.submit_many(3, "agent")
    with pytest.raises(QueueFull, match="2 requests of class 'agent' wait already") as refusal:
        desk.submit("agent")
    assert refusal.value.retry_after_s == 0.5
    assert desk.scheduler.counts.refusals == {"queue_full": 1}


def test_the_line_of_one_class_refuses_no_other():
    desk = Desk(places=1, rules={"agent": {"max_waiting": 0}})
    desk.submit("batch")
    assert desk.submit("batch").state is State.WAITING


def test_who_would_not_have_to_wait_is_not_refused_for_a_line_of_no_length():
    desk = Desk(places=1, rules={"agent": {"max_waiting": 0}})
    assert desk.submit("agent").state is State.RUNNING


def test_those_that_are_paused_count_as_waiting():
    desk = Desk(places=1, rules={"agent": {"max_waiting": 1}})
    desk.pause_class("agent")
    desk.submit("agent")
    with pytest.raises(QueueFull):
        desk.submit("agent")


def test_a_deadline_that_has_passed_is_refused_at_once():
    desk = Desk(places=1)
    desk.now_s = 5.0
    with pytest.raises(Expired, match="deadline_ms"):
        desk.submit(deadline_s=5.0)
    assert desk.scheduler.counts.refusals == {"expired": 1}


def test_a_deadline_that_the_line_will_not_make_is_refused_at_once():
    desk = measured(interval_s=2.0)
    desk.submit_many(4)
    with pytest.raises(Expired, match=r"about 10\.0 s of waiting .* leaves 4\.0 s") as refusal:
        desk.submit(deadline_s=desk.now_s + 4.0)
    assert refusal.value.retry_after_s == pytest.approx(6.0)


def test_a_deadline_that_the_line_may_make_waits():
    desk = measured(interval_s=2.0)
    desk.submit_many(4)
    assert desk.submit(deadline_s=desk.now_s + 11.0).state is State.WAITING


def test_before_the_rate_is_known_nobody_is_refused_for_it():
    desk = Desk(places=1, rules={"standard": {"queue_timeout_s": 0.001}})
    for entry in desk.submit_many(ENOUGH):
        assert entry.state is not State.ENDED


def test_who_would_wait_for_longer_than_its_class_waits_is_refused_at_once():
    desk = measured(interval_s=2.0, rules={"agent": {"queue_timeout_s": 9.0}})
    desk.submit_many(3, "agent")
    desk.submit("agent")
    with pytest.raises(Refused, match=r"class 'agent' waits for 9 s at most") as refusal:
        desk.submit("agent")
    assert type(refusal.value) is Refused
    assert refusal.value.retry_after_s == pytest.approx(1.0)
    assert desk.scheduler.counts.refusals == {"saturated": 1}


def test_a_full_line_says_when_by_the_measured_rate():
    desk = measured(interval_s=2.0, rules={"agent": {"max_waiting": 20}})
    desk.submit_many(20, "agent")
    with pytest.raises(QueueFull) as refusal:
        desk.submit("agent")
    assert refusal.value.retry_after_s == pytest.approx(2.0 * 4)


def test_those_of_lower_classes_are_not_waited_for():
    desk = measured(interval_s=2.0, rules={"agent": {"queue_timeout_s": 1.0}})
    desk.submit_many(50, "batch")
    assert desk.submit("agent").state is State.WAITING


def test_who_can_have_others_stopped_is_not_refused_for_the_line():
    desk = measured(rules={"interactive": {"queue_timeout_s": 0.5}})
    desk.submit("interactive")
    assert desk.submit("interactive", deadline_s=desk.now_s + 0.1).state is State.WAITING


def test_who_waited_for_longer_than_its_class_waits_is_refused():
    desk = Desk(places=1, rules={"agent": {"queue_timeout_s": 5.0}})
    desk.submit()
    agent = desk.submit("agent")
    assert desk.scheduler.wake_s(0.0) == 5.0
    assert desk.after(4.9) == []
    (decision,) = desk.after(0.1)
    assert (decision.act, decision.entry, agent.state) == (Act.REFUSE, agent, State.ENDED)
    assert isinstance(decision.error, Expired)
    assert "turn did not come within 5 s" in decision.error.message
    assert decision.error.retry_after_s == 0.5


def test_a_deadline_that_passes_in_line_is_refused_then():
    desk = Desk(places=1)
    desk.submit()
    entry = desk.submit(deadline_s=3.0)
    (decision,) = desk.after(3.0)
    assert (decision.act, decision.entry) == (Act.REFUSE, entry)
    assert "deadline (deadline_ms) passed" in decision.error.message


def test_who_runs_is_not_refused_by_the_queue():
    desk = Desk(places=1, rules={"agent": {"queue_timeout_s": 5.0}})
    agent = desk.submit("agent", deadline_s=7.0)
    assert desk.after(100.0) == []
    assert agent.state is State.RUNNING


def test_who_was_paused_for_as_long_as_can_be_ends():
    desk = Desk(places=1, max_paused_s=60.0)
    agent = desk.submit("agent")
    desk.progress(agent)
    desk.pause(agent)
    desk.stopped(agent)
    (decision,) = desk.after(60.0)
    assert (decision.act, decision.entry) == (Act.REFUSE, agent)
    assert "paused for 60 s" in decision.error.message
    assert desk.scheduler.paused == {}


def test_who_was_preempted_waits_longer_than_its_class_does():
    rules = {"agent": {"queue_timeout_s": 5.0}}
    desk = Desk(places=1, max_paused_s=60.0, rules=rules, min_run_s=0.0)
    agent = desk.submit("agent")
    desk.progress(agent)
    desk.submit("interactive")
    desk.stopped(agent)
    assert desk.after(59.0) == []
    (decision,) = desk.after(1.0)
    assert decision.entry is agent


def test_a_refused_one_may_leave_once_more():
    desk = Desk(places=1, rules={"agent": {"queue_timeout_s": 5.0}})
    desk.submit()
    agent = desk.submit("agent")
    desk.after(5.0)
    assert desk.end(agent) == []
    assert list(desk.scheduler.entries()) == desk.running


def test_a_refused_request_leaves_nothing_behind():
    desk = Desk(places=1, rules={"agent": {"max_waiting": 0}})
    desk.submit()
    with pytest.raises(QueueFull):
        desk.submit("agent", tenant="refused")
    assert list(desk.scheduler.entries()) == desk.running
    assert not desk.scheduler.lines._fair[2]._active


def test_a_tenant_that_fills_a_line_gives_places_of_it_to_others():
    desk = Desk(places=1, rules={"standard": {"max_waiting": 4}})
    desk.submit("standard", "flood")
    flood = desk.submit_many(4, "standard", "flood")
    other = desk.submit("standard", "quiet")
    assert other.state is State.WAITING
    assert desk.told(Act.REFUSE) == [flood[-1]]
    assert (flood[-1].state, desk.decisions[0].error.code) == (State.ENDED, "queue_full")
    with pytest.raises(QueueFull):
        desk.submit("standard", "flood")
    desk.submit("standard", "quiet")
    with pytest.raises(QueueFull):
        desk.submit("standard", "quiet")


def test_the_flood_of_another_tenant_is_not_waited_for():
    desk = measured(interval_s=2.0, rules={"agent": {"queue_timeout_s": 10.0}})
    desk.submit_many(5, "agent", "flood")
    assert desk.submit("agent", "quiet").state is State.WAITING
    with pytest.raises(Refused):
        desk.submit("agent", "flood")
