"""Rules of a queue that could not work are refused before they are used."""

from dataclasses import replace

import pytest
from desk import policy_of


def test_every_class_needs_rules():
    policy = policy_of()
    with pytest.raises(ValueError, match="3 classes have rules, 4 need some"):
        replace(policy, classes=policy.classes[:3])


def test_floors_are_no_more_than_the_places():
    rules = {"interactive": {"floor": 2}, "agent": {"floor": 1}}
    with pytest.raises(ValueError, match="are 3 of 2 places"):
        policy_of(places=2, rules=rules)


def test_floors_leave_a_place_for_a_class_without_one():
    rules = {"interactive": {"floor": 1}, "standard": {"floor": 1}}
    with pytest.raises(ValueError, match="class 'agent' could never run"):
        policy_of(places=2, rules=rules)


def test_every_class_may_hold_a_place():
    with pytest.raises(ValueError, match="class 'batch' could never run"):
        policy_of(places=2, rules={"batch": {"share": 0}})


def test_a_floor_is_within_the_share():
    with pytest.raises(ValueError, match="floor of class 'agent' is 3, and its share 2"):
        policy_of(places=8, rules={"agent": {"floor": 3, "share": 2}})


def test_work_that_cannot_be_stopped_may_hold_a_place():
    policy = policy_of()
    with pytest.raises(ValueError, match="could never run"):
        replace(policy, unresumable=0)


def test_floors_may_take_all_places_when_every_class_has_one():
    rules = {name: {"floor": 1} for name in ("interactive", "standard", "agent", "batch")}
    assert policy_of(places=4, rules=rules).places == 4
