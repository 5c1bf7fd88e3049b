"""How fast a full engine lets somebody in, measured, and nothing said before it is known."""

import pytest
from desk import Desk

from serving.bls.scheduling.drain import ENOUGH, LEAST_RETRY_S, Drain


def measured(*, interval_s, samples):
    drain = Drain()
    for number in range(samples + 1):
        drain.freed(number * interval_s, is_wanted=True)
    return drain


def test_nothing_is_said_before_enough_was_seen():
    drain = measured(interval_s=2.0, samples=ENOUGH - 1)
    assert (drain.interval_s, drain.wait_s(1000), drain.retry_after_s(1000)) == (None, 0, 0.5)


def test_the_wait_is_as_many_intervals_as_places_have_to_come_free():
    drain = measured(interval_s=2.0, samples=ENOUGH)
    assert drain.interval_s == pytest.approx(2.0)
    assert drain.wait_s(4) == pytest.approx(10.0)


def test_who_has_nobody_ahead_does_not_wait():
    assert measured(interval_s=2.0, samples=ENOUGH).wait_s(0) == 0


def test_nobody_is_told_to_come_back_at_once():
    drain = measured(interval_s=0.001, samples=ENOUGH)
    assert drain.retry_after_s(0) == drain.retry_after_s(3) == LEAST_RETRY_S


def test_the_estimate_follows_the_engine():
    drain = measured(interval_s=10.0, samples=50)
    for number in range(100):
        drain.freed(500.0 + number, is_wanted=True)
    assert drain.interval_s == pytest.approx(1.0, rel=0.01)


def test_time_in_which_nobody_waited_does_not_count():
    drain = Drain()
    for number in range(20):
        drain.freed(number * 1000.0, is_wanted=True)
        drain.freed(number * 1000.0 + 2.0, is_wanted=False)
    assert drain.interval_s == pytest.approx(2.0)


def test_idle_times_of_the_engine_do_not_count_as_slow():
    desk = Desk(places=1)
    for _ in range(30):
        first, second, third = desk.submit_many(3)
        desk.after(1.0)
        desk.end(first)
        desk.after(1.0)
        desk.end(second)
        desk.after(1.0)
        desk.end(third)
        desk.after(3600.0)
    assert desk.scheduler.drain.interval_s == pytest.approx(1.0)


def test_an_engine_left_idle_by_those_who_gave_up_does_not_count_as_slow():
    desk = Desk(places=2)
    for _ in range(30):
        entries = desk.submit_many(4)
        desk.after(1.0)
        for entry in entries:  # as a client that hangs up takes all of its sequences along
            desk.scheduler.leave(entry, desk.now_s)
        desk.decide()
        desk.after(3600.0)
    assert (desk.scheduler.drain.interval_s or 0.0) < 1.5


def test_an_engine_left_idle_by_a_pause_does_not_count_as_slow():
    desk = Desk(places=1)
    for _ in range(30):
        first, second = desk.submit_many(2, "agent")
        desk.after(1.0)
        desk.scheduler.leave(first, desk.now_s)
        desk.pause(second)
        desk.after(3600.0)
        desk.resume(second)
        desk.end(second)
    assert (desk.scheduler.drain.interval_s or 0.0) < 1.5
