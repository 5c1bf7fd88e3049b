"""Numbers within bounds, as numbers and in texts."""

from typing import Any

import pytest

from serving.guardrails.tools.amounts import is_between


@pytest.mark.parametrize("value", [0, 100, 99.99, "50", " 50 ", "+1.5", "1e2", "0.1"])
def test_a_number_within_its_bounds_passes(value: Any):
    assert is_between(value, 0, 100)


@pytest.mark.parametrize(
    "value",
    [
        *(-1, 101, 100.01, 10**400, float("nan"), float("inf"), float("-inf"), True, None, [], {}),
        *(
            "101",
            "-1",
            "1e3",
            "NaN",
            "inf",
            "Infinity",
            "",
            "1,000",
            "1_0",
            "0x10",
            "٥",
            "１",
            "5 0",
        ),
        *("1e9999", "9" * 50, "5 EUR", "5;6"),
    ],
)
def test_what_is_beyond_or_no_number_for_certain_does_not_pass(value: Any):
    assert not is_between(value, 0, 100)


def test_one_bound_is_enough():
    assert is_between(10**400, 0, None)
    assert not is_between(10**400, None, 5.5)
    assert is_between("-7", None, 5.5)
