"""The class of a request, within what its principal may use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ask import Ask
from gateway.stages.grant import ceiling
from gateway.stages.priority import allowed, class_of, prioritize, unsigned
from serving.contract.calls import Call
from serving.contract.grant import CLASSES


def ask(priority: str | None = None) -> Ask:
    return Ask("m", (Call(text="a", priority=priority), Call(text="b", priority=priority)))


@pytest.mark.parametrize(
    ("asked", "classes", "given_class"),
    [
        ("interactive", None, "interactive"),
        ("interactive", ("agent", "standard"), "standard"),
        ("interactive", ("batch",), "batch"),
        ("standard", ("interactive", "batch"), "batch"),
        ("batch", ("interactive", "agent"), "agent"),
        ("agent", ("interactive",), "interactive"),
        ("agent", (), "batch"),
        ("agent", ("of another version",), "batch"),
        ("interactive", unsigned(None), "standard"),
        ("interactive", unsigned(("interactive", "agent")), "agent"),
    ],
)
def test_what_may_not_be_used_becomes_the_next_lower(
    asked: str, classes: tuple[str, ...] | None, given_class: str
) -> None:
    made = prioritize(ask(asked), classes)
    assert {call.priority for call in made.calls} == {given_class} == {class_of(made)}


@pytest.mark.parametrize(
    ("classes", "priority"),
    [(None, None), (("standard",), None), (("agent", "batch"), "agent"), (("interactive",),) * 2],
)
def test_who_asks_for_nothing_is_standard_where_that_is_allowed(
    classes: tuple[str, ...] | None, priority: object
) -> None:
    expected = priority[0] if isinstance(priority, tuple) else priority
    made = prioritize(ask(), classes)
    assert [call.priority for call in made.calls] == [expected] * 2
    assert class_of(made) == (expected or "standard")


@given(st.sampled_from(CLASSES), st.sets(st.sampled_from(CLASSES), min_size=1).map(tuple))
def test_no_class_is_given_that_is_not_allowed_or_above_the_ceiling(
    asked: str, classes: tuple[str, ...]
) -> None:
    made = allowed(asked, classes)
    assert made in classes
    assert CLASSES.index(made) >= CLASSES.index(ceiling(classes))
    # Higher than asked only where nothing lower is allowed.
    if CLASSES.index(made) < CLASSES.index(asked):
        assert not any(CLASSES.index(name) >= CLASSES.index(asked) for name in classes)
