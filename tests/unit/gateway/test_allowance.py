"""While Redis is away each tenant has a bucket of its own in each process."""

import math

import pytest

from gateway import allowance
from gateway.allowance import Allowance


def test_a_minute_s_worth_at_once_and_then_evenly():
    given = Allowance()
    assert [given.take("acme", 3, 0.0) for _ in range(3)] == [0.0] * 3
    assert given.take("acme", 3, 0.0) == pytest.approx(20)
    assert given.take("acme", 3, 19.9) == pytest.approx(0.1)
    assert given.take("acme", 3, 20.0) == 0.0
    assert given.take("acme", 3, 20.0) > 0
    assert given.take("rival", 3, 20.0) == 0.0


def test_no_allowance_is_never():
    assert Allowance().take("acme", 0, 0.0) == math.inf


def test_it_remembers_a_bounded_number_of_tenants(monkeypatch):
    monkeypatch.setattr(allowance, "TENANTS", 2)
    given = Allowance()
    for tenant in "abca":
        assert given.take(tenant, 1, 0.0) == 0.0
    assert given.take("c", 1, 0.0) > 0
