"""An operator is told of each budget once a day."""

import structlog

from gateway import budget_warnings
from gateway.budget_warnings import BudgetWarnings


def test_each_warning_is_told_once_a_day(monkeypatch):
    now_s = 1_800_000_000.0
    monkeypatch.setattr(budget_warnings.time, "time", lambda: now_s)
    warnings = BudgetWarnings()
    with structlog.testing.capture_logs() as told:
        warnings.tell(["a", "b"])
        warnings.tell(["a"])
        now_s += 86_400
        warnings.tell(["a"])
    assert [line["warning"] for line in told] == ["a", "b", "a"]


def test_it_remembers_a_bounded_number(monkeypatch):
    monkeypatch.setattr(budget_warnings, "REMEMBERED", 2)
    warnings = BudgetWarnings()
    with structlog.testing.capture_logs() as told:
        warnings.tell(["a", "b", "c", "a"])
    assert len(told) == 4
