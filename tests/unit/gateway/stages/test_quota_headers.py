"""The headers that OpenAI's clients know, in the form they know."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.stages.quota_headers import duration, quota_headers, refusal_headers
from serving.contract.errors import BudgetExhausted, QuotaRequests, QuotaTooSmall
from serving.contract.quota import Admission, Rate, Refusal


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.12, "120ms"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9996, "1m0s"),
        (360, "6m0s"),
        (3_723.5, "1h2m3.5s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations_read_as_openai_writes_them(seconds, text):
    assert duration(seconds) == text


@given(st.integers(0, 10**10))
def test_a_duration_means_what_it_says(ms):
    units = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", duration(ms / 1e3))
    assert sum(float(number) * units[unit] for number, unit in parts) == pytest.approx(ms)


def test_only_limits_that_are_set_are_told_of():
    assert quota_headers(Admission()) == []
    assert quota_headers(Admission(requests=Rate(60, 59, 1.0))) == [
        (b"x-ratelimit-limit-requests", b"60"),
        (b"x-ratelimit-remaining-requests", b"59"),
        (b"x-ratelimit-reset-requests", b"1s"),
    ]
    refused = Refusal(QuotaRequests("x"), 1, tokens=Rate(100, 0, 360.0))
    assert quota_headers(refused) == [
        (b"x-ratelimit-limit-tokens", b"100"),
        (b"x-ratelimit-remaining-tokens", b"0"),
        (b"x-ratelimit-reset-tokens", b"6m0s"),
    ]


def test_a_warning_cannot_end_its_header():
    ((name, value),) = quota_headers(Admission(warnings=("a\r\nset-cookie: b\x00é",)))
    assert name == b"x-conch-warning"
    assert value == b"a??set-cookie: b???"


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (QuotaRequests("x"), []),
        (QuotaTooSmall("x"), [(b"x-should-retry", b"false")]),
        (BudgetExhausted("x"), [(b"x-should-retry", b"false")]),
    ],
)
def test_clients_are_told_what_cannot_pass(error, headers):
    assert refusal_headers(error) == headers
