"""Tokens are held back only on a machine with nothing left to give, and never for long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.engines.holding import (
    IDLE_SHARE,
    MAX_HOLD_S,
    MAX_MESSAGES_PER_S,
    CpuTimes,
    hold_s,
    idle_share,
)

SHARES = st.floats(0, 1)
RUNNING = st.integers(0, 10_000)


@given(SHARES, RUNNING)
def test_nothing_is_held_longer_than_a_tenth_of_a_second(idle, running):
    assert 0 <= hold_s(idle, running) <= MAX_HOLD_S <= 0.1


@given(st.floats(IDLE_SHARE, 1, exclude_min=True), RUNNING)
def test_nothing_is_held_while_the_cpu_has_time(idle, running):
    assert hold_s(idle, running) == 0


@given(st.floats(0, IDLE_SHARE), st.integers(1, int(MAX_HOLD_S * MAX_MESSAGES_PER_S)))
def test_a_saturated_machine_sends_a_bounded_number_of_messages(idle, running):
    assert running / hold_s(idle, running) == pytest.approx(MAX_MESSAGES_PER_S)


@given(st.floats(0, IDLE_SHARE), RUNNING, RUNNING)
def test_more_streams_never_wait_less(idle, few, many):
    few, many = sorted((few, many))
    assert hold_s(idle, few) <= hold_s(idle, many)


def test_the_idle_share_is_of_the_time_between():
    assert idle_share(CpuTimes(10.0, 100.0), CpuTimes(11.0, 104.0)) == 0.25


def test_no_time_at_all_counts_as_idle():
    assert idle_share(CpuTimes(10.0, 100.0), CpuTimes(10.0, 100.0)) == 1.0
