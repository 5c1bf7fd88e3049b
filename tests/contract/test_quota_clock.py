"""Meters, budgets and lifetimes at times that the test sets, against exact arithmetic."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from itertools import count
from math import ceil, floor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quota_requests import Clocked, a_request, used

from serving.adapters.quota_words import BUDGET, REQUESTS, Verdict
from serving.contract.policy import Limits, Price

T0 = 1_800_000_000_000
MINUTE, DAY = 60_000, 86_400_000
NUSD = Price(output_nusd=1)
NUMBERS = count()


@dataclass
class Meter:
    """A leaky bucket in exact numbers: `debt` tokens drain by `limit` a period, once a step."""

    limit: int
    size: Fraction
    period_ms: int
    step_ms: int
    debt: Fraction = Fraction(0)

    def drain(self, from_ms: int, to_ms: int) -> None:
        steps = to_ms // self.step_ms - from_ms // self.step_ms
        self.debt = max(Fraction(0), self.debt - self._a_step * steps)

    def wait_ms(self, amount: int) -> int:
        """0 when `amount` fits, -1 when it never will."""
        over = self.debt + amount - self.size
        if amount > self.size:
            return -1
        return ceil(over / self._a_step) * self.step_ms if amount and over > 0 else 0

    @property
    def _a_step(self) -> Fraction:
        return Fraction(self.limit * self.step_ms, self.period_ms)


@dataclass
class Model:
    """The meters of one scope, in the order that Lua has them."""

    limits: Limits
    at: int = T0
    meters: list[Meter | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = self.limits
        by_minute = (
            limits.requests_per_minute,
            limits.input_tokens_per_minute,
            limits.output_tokens_per_minute,
        )
        self.meters = [None if n is None else self._minute(n) for n in by_minute]
        day = limits.tokens_per_day
        self.meters.append(None if day is None else Meter(day, Fraction(day), DAY, 1000))

    def _minute(self, limit: int) -> Meter:
        size = Fraction(limit * self.limits.burst_s, 60)
        return Meter(limit, max(Fraction(1), size) if limit else Fraction(0), MINUTE, 1)

    def go_to(self, now: int) -> None:
        for meter in filter(None, self.meters):
            meter.drain(self.at, now)
        self.at = now

    def add(self, amounts: tuple[int, ...]) -> None:
        for meter, amount in zip(self.meters, amounts, strict=True):
            if meter is not None:
                meter.debt = max(Fraction(0), meter.debt + amount)

    def check(self, seen: Verdict, amounts: tuple[int, ...]) -> None:
        pairs = zip(self.meters, amounts, strict=True)
        waits = [meter.wait_ms(amount) for meter, amount in pairs if meter is not None]
        wait = -1 if -1 in waits else max(waits, default=0)
        assert (seen.is_taken, seen.wait_ms) == (wait == 0, wait)
        if seen.is_taken:
            self.add(amounts)
        requests = self.meters[0]
        if requests is not None:
            left = max(0, floor(requests.size - requests.debt))
            assert seen.requests is not None
            assert seen.requests.remaining == left


limit = st.none() | st.integers(0, 300) | st.integers(0, 100_000_000_000)
amount = st.integers(0, 200) | st.integers(0, 2**31)
passed_ms = st.integers(0, 3_000) | st.integers(0, 2 * DAY)
steps = st.lists(st.tuples(passed_ms, amount, amount, amount, st.booleans()), max_size=15)


@given(
    limits=st.builds(
        Limits,
        requests_per_minute=limit,
        input_tokens_per_minute=limit,
        output_tokens_per_minute=limit,
        tokens_per_day=limit,
        burst_s=st.integers(1, 90),
    ),
    steps=steps,
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_lua_counts_as_exact_arithmetic_does(clocked: Clocked, limits: Limits, steps):
    clocked.redis.flushdb()
    model = Model(limits)
    for number, (passed, prompt, completion, really, is_settled) in enumerate(steps):
        now = model.at + passed
        clocked.at(now)
        model.go_to(now)
        wanted = a_request(str(number), limits, tokens=(prompt, completion))
        seen = clocked.reserve(wanted)
        model.check(seen, (1, prompt, completion, prompt + completion))
        if seen.is_taken and is_settled:
            assert clocked.settle(used(wanted, prompt, really))
            extra = really - completion
            model.add((0, 0, extra, extra))


def test_exactly_burst_and_then_exactly_the_rate(clocked: Clocked):
    limits = Limits(requests_per_minute=90, burst_s=20)  # 30 at once, then one every 2/3 s
    clocked.at(T0)
    assert taken(clocked, limits, 40) == 30
    clocked.at(T0 + 666)
    assert taken(clocked, limits, 1) == 0
    clocked.at(T0 + 667)
    assert taken(clocked, limits, 2) == 1
    clocked.at(T0 + 10_000)
    assert taken(clocked, limits, 40) == 14  # of 15 in 10 s, one is gone


def test_looking_often_loses_no_time(clocked: Clocked):
    limits = Limits(requests_per_minute=7, tokens_per_day=10_000)
    clocked.at(T0)
    taken(clocked, limits, 7, tokens=(0, 1_000))
    for ms in range(1, 2_000, 7):
        clocked.at(T0 + ms)
        taken(clocked, limits, 1, tokens=(0, 1))
    clocked.at(T0 + 9_000)
    assert taken(clocked, limits, 3, tokens=(0, 1)) == 1  # 9 s × 7/min


def test_a_raised_limit_is_there_at_once(clocked: Clocked):
    clocked.at(T0)
    assert taken(clocked, Limits(requests_per_minute=10), 20) == 10
    assert taken(clocked, Limits(requests_per_minute=40), 50) == 30


def test_a_lowered_limit_holds_at_once_and_blocks_for_a_bucket_at_most(clocked: Clocked):
    high, low = Limits(requests_per_minute=120), Limits(requests_per_minute=60)
    clocked.at(T0)
    assert taken(clocked, high, 121) == 120
    assert taken(clocked, low, 1) == 0
    clocked.at(T0 + 999)
    assert taken(clocked, low, 1) == 0
    clocked.at(T0 + 1_000)
    assert taken(clocked, low, 2) == 1
    clocked.at(T0 + 61_000)
    assert taken(clocked, low, 61) == 60


def test_what_passed_before_a_change_drained_by_the_old_limit(clocked: Clocked):
    clocked.at(T0)
    assert taken(clocked, Limits(requests_per_minute=60), 60) == 60
    clocked.at(T0 + 30_000)  # 30 are left
    assert taken(clocked, Limits(requests_per_minute=100), 100) == 70


def test_a_limit_that_comes_and_goes_forgets(clocked: Clocked):
    clocked.at(T0)
    limits = Limits(requests_per_minute=10)
    assert taken(clocked, limits, 10) == 10
    assert taken(clocked, Limits(), 5) == 5
    assert taken(clocked, limits, 20) == 10


def test_another_budget_leaves_the_rates_alone(clocked: Clocked):
    clocked.at(T0)
    limits = Limits(output_tokens_per_minute=60, budget_nusd=10**9)
    wanted = a_request("a", limits, tokens=(0, 60))
    clocked.reserve(wanted)
    clocked.settle(used(wanted, 0, 600))
    richer = Limits(output_tokens_per_minute=60, budget_nusd=2 * 10**9)
    assert clocked.reserve(a_request("b", richer, tokens=(0, 60))).wait_ms == 600_000


@pytest.mark.parametrize("back_ms", [1, 5_000, 60_000])
def test_a_clock_that_goes_back_a_little_gives_nothing_away(clocked: Clocked, back_ms: int):
    limits = Limits(requests_per_minute=60)
    clocked.at(T0)
    assert taken(clocked, limits, 60) == 60
    for _ in range(2):
        clocked.at(T0 - back_ms)
        assert taken(clocked, limits, 1) == 0
        clocked.at(T0)
        assert taken(clocked, limits, 1) == 0
    clocked.at(T0 + 1_000)
    assert taken(clocked, limits, 2) == 1


def test_a_clock_that_is_set_right_stops_nobody(clocked: Clocked):
    limits = Limits(requests_per_minute=60)
    clocked.at(T0 + 10 * DAY)
    assert taken(clocked, limits, 60) == 60
    clocked.at(T0)
    assert taken(clocked, limits, 1) == 0
    clocked.at(T0 + 2_000)
    assert taken(clocked, limits, 60) == 2


@pytest.mark.parametrize(
    "moment",
    [
        datetime(year, month, 1, tzinfo=UTC)
        for year in (2000, 2024, 2025, 2100)
        for month in range(1, 13)
    ],
)
def test_budgets_begin_anew_with_the_calendar_month(clocked: Clocked, moment: datetime):
    begins = int(moment.timestamp() * 1000)
    limits = Limits(budget_nusd=100)
    clocked.at(begins - 1)
    spend(clocked, "a", limits, 100)
    refused = clocked.reserve(a_request("b", limits, tokens=(0, 1), price=NUSD))
    assert (refused.kind, refused.wait_ms) == (BUDGET, 1)
    clocked.at(begins)
    assert clocked.reserve(a_request("b", limits, tokens=(0, 100), price=NUSD)).is_taken


def test_what_began_last_month_is_of_last_month(clocked: Clocked):
    begins = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
    limits = Limits(budget_nusd=100)
    clocked.at(begins - 1)
    wanted = a_request("a", limits, tokens=(0, 60), price=NUSD)
    assert clocked.reserve(wanted).is_taken
    clocked.at(begins)
    new = a_request("b", limits, tokens=(0, 100), price=NUSD)
    assert clocked.reserve(new).spent_nusd[2] == 100
    assert clocked.settle(used(wanted, 0, 60, cost_nusd=60))
    assert not clocked.reserve(a_request("c", limits, tokens=(0, 1), price=NUSD)).is_taken
    assert clocked.settle(used(new, 0, 10, cost_nusd=10))
    seen = clocked.reserve(a_request("c", limits, tokens=(0, 90), price=NUSD))
    assert (seen.is_taken, seen.spent_nusd[2]) == (True, 100)


def test_a_clock_back_in_last_month_reserves_and_frees_in_this_one(clocked: Clocked):
    begins = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
    limits = Limits(budget_nusd=100)
    clocked.at(begins)
    spend(clocked, "a", limits, 40)
    clocked.at(begins - 5)
    spend(clocked, "b", limits, 40)
    clocked.at(begins)
    seen = clocked.reserve(a_request("c", limits, tokens=(0, 20), price=NUSD))
    assert (seen.is_taken, seen.spent_nusd[2]) == (True, 100)


def test_budgets_count_to_the_last_nanodollar_of_millions(clocked: Clocked):
    clocked.at(T0)
    limits = Limits(budget_nusd=2**53 - 1)  # nine million dollars
    spend(clocked, "a", limits, 2**53 - 3)
    assert clocked.reserve(a_request("b", limits, tokens=(0, 2), price=NUSD)).is_taken
    refused = clocked.reserve(a_request("c", limits, tokens=(0, 1), price=NUSD))
    assert refused.spent_nusd[2] == 2**53 - 1
    assert not refused.is_taken


def test_idle_counters_expire_when_they_would_be_zero_and_not_while_a_request_runs(
    clocked: Clocked,
):
    clocked.at(T0)
    limits = Limits(output_tokens_per_minute=60)
    wanted = a_request("a", limits, tokens=(0, 60))
    clocked.reserve(wanted)
    assert clocked.lifetime_ms(wanted.event, "tenant") == -1
    clocked.settle(used(wanted, 0, 30))
    assert 85_000 < clocked.lifetime_ms(wanted.event, "tenant") <= 90_000  # 30 s, and a minute
    again = a_request("b", limits)
    clocked.reserve(again)
    assert clocked.lifetime_ms(wanted.event, "tenant") == -1
    clocked.settle(used(again, 0, 0, cost_nusd=1))
    month_ms = int(datetime(2027, 2, 1, tzinfo=UTC).timestamp() * 1000) - T0
    assert month_ms < clocked.lifetime_ms(wanted.event, "tenant") <= month_ms + 60_000


def test_a_lease_expires_by_the_time_of_redis(clocked: Clocked):
    clocked.at(T0)
    wanted = a_request("a", Limits(concurrent_requests=1))
    clocked.reserve(wanted, lease_ms=1_000)
    clocked.at(T0 + 900)
    assert clocked.renew(wanted.event, lease_ms=1_000) == []
    clocked.at(T0 + 1_899)
    assert not clocked.reap(wanted.event)
    clocked.at(T0 + 1_900)
    seen = clocked.reserve(a_request("b", Limits(concurrent_requests=1)))
    assert (seen.is_taken, seen.expired) == (False, ["a"])
    assert clocked.reap(wanted.event)
    assert not clocked.reap(wanted.event)
    assert clocked.renew(wanted.event) == [1]
    assert clocked.reserve(a_request("b", Limits(concurrent_requests=1))).is_taken


def test_of_several_refusals_the_longest_is_told(clocked: Clocked):
    clocked.at(T0)
    scopes = {
        "key:k1": Limits(requests_per_minute=60, burst_s=1),
        "tenant": Limits(requests_per_minute=6, burst_s=1),
    }
    assert clocked.reserve(a_request("a", scopes=scopes)).is_taken
    refused = clocked.reserve(a_request("b", scopes=scopes))
    assert (refused.kind, refused.scope, refused.wait_ms) == (REQUESTS, 3, 10_000)


def taken(clocked: Clocked, limits: Limits, number: int, tokens: tuple[int, int] = (0, 0)) -> int:
    """How many of `number` requests are let through."""
    requests = (a_request(f"t{next(NUMBERS)}", limits, tokens=tokens) for _ in range(number))
    return sum(clocked.reserve(wanted).is_taken for wanted in requests)


def spend(clocked: Clocked, name: str, limits: Limits, nusd: int) -> None:
    wanted = a_request(name, limits, tokens=(0, nusd), price=NUSD)
    assert clocked.reserve(wanted).is_taken
    assert clocked.settle(used(wanted, 0, nusd, cost_nusd=nusd))
