"""Which class counts: what is asked for, held to what the caller may use."""

import pytest

from serving.bls.scheduling.classes import AGENT, INTERACTIVE, RANKS, rank_of


def test_classes_rank_from_those_who_wait_to_those_nobody_waits_for():
    assert sorted(RANKS, key=RANKS.__getitem__) == ["interactive", "standard", "agent", "batch"]
    assert RANKS["interactive"] == INTERACTIVE
    assert RANKS["agent"] == AGENT


@pytest.mark.parametrize("asked", RANKS)
def test_under_the_highest_ceiling_the_class_is_the_one_asked_for(asked):
    assert rank_of(asked, "interactive") == RANKS[asked]


def test_who_asks_for_none_is_standard():
    assert rank_of(None, "interactive") == RANKS["standard"]


def test_who_asks_for_none_gets_the_ceiling_where_that_is_lower():
    assert rank_of(None, "batch") == RANKS["batch"]


@pytest.mark.parametrize("asked", RANKS)
@pytest.mark.parametrize("ceiling", RANKS)
def test_nobody_gets_above_the_ceiling(asked, ceiling):
    assert rank_of(asked, ceiling) == max(RANKS[asked], RANKS[ceiling])
