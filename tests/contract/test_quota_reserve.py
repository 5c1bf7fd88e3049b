"""Reserving: everything a request counts in is checked, and taken or left, in one step."""

import asyncio

import pytest
from quota_requests import a_request, an_event, used

from serving.adapters.quotas import Quotas
from serving.adapters.usage_stream import UsageStream
from serving.contract.errors import (
    BudgetExhausted,
    QuotaConcurrency,
    QuotaRequests,
    QuotaTokens,
    QuotaTooSmall,
)
from serving.contract.policy import Limits, Price
from serving.contract.quota import Admission, Rate, Refusal

FOUR = {
    "key:k1": Limits(requests_per_minute=6),
    "project:acme/web": Limits(tokens_per_day=900),
    "tenant": Limits(concurrent_requests=2),
    "model:demo": Limits(output_tokens_per_minute=1_000),
}


async def test_a_request_without_limits_is_let_through_and_told_of_none(quotas: Quotas):
    assert await quotas.reserve(a_request("a", scopes={})) == Admission()
    assert await quotas.reserve(a_request("b")) == Admission()


async def test_what_is_left_is_of_the_tightest_limit(quotas: Quotas):
    given = await quotas.reserve(a_request("a", scopes=FOUR, tokens=(100, 200)))
    assert isinstance(given, Admission)
    assert given.requests == Rate(6, 5, 10.0)
    assert given.tokens == Rate(900, 600, 28_800.0)


async def test_refused_by_one_scope_nothing_is_taken_from_any(quotas: Quotas):
    for name in ("a", "b"):
        assert isinstance(await quotas.reserve(a_request(name, scopes=FOUR)), Admission)
    refused = await quotas.reserve(a_request("c", scopes=FOUR))
    assert isinstance(refused, Refusal)
    assert isinstance(refused.error, QuotaConcurrency)
    assert "tenant 'acme' is limited to 2 requests at a time" in refused.error.message
    without_tenant = {name: limits for name, limits in FOUR.items() if name != "tenant"}
    given = await quotas.reserve(a_request("d", scopes=without_tenant))
    assert isinstance(given, Admission)
    assert given.requests is not None
    assert given.tokens is not None
    assert given.requests.remaining == 3  # and not 2
    assert given.tokens.remaining == 900 - 3 * 30


@pytest.mark.parametrize(
    ("limits", "tokens", "error", "words"),
    [
        (Limits(requests_per_minute=1), (1, 1), QuotaRequests, "1 requests a minute"),
        (Limits(input_tokens_per_minute=10), (6, 1), QuotaTokens, "10 input tokens a minute"),
        (Limits(output_tokens_per_minute=10), (1, 6), QuotaTokens, "10 output tokens a minute"),
        (Limits(tokens_per_day=10), (3, 3), QuotaTokens, "10 tokens a day"),
        (Limits(concurrent_requests=1), (1, 1), QuotaConcurrency, "1 requests at a time"),
        (Limits(budget_nusd=100), (3, 3), BudgetExhausted, "$0.0000001 a month"),
    ],
)
async def test_each_limit_refuses_with_its_own_error(quotas: Quotas, limits, tokens, error, words):
    price = Price(input_nusd=10, output_nusd=10)
    first = await quotas.reserve(a_request("a", limits, tokens=tokens, price=price))
    assert isinstance(first, Admission)
    refused = await quotas.reserve(a_request("b", limits, tokens=tokens, price=price))
    assert isinstance(refused, Refusal)
    assert type(refused.error) is error
    assert words in refused.error.message
    assert refused.retry_after_s == refused.error.retry_after_s > 0


@pytest.mark.parametrize(
    ("limits", "advice"),
    [
        (Limits(input_tokens_per_minute=9), "about 10 input tokens: send less at once"),
        (Limits(output_tokens_per_minute=19), "up to 20 output tokens: ask for fewer"),
        (Limits(output_tokens_per_minute=60, burst_s=19), "up to 20 output tokens"),
        (Limits(tokens_per_day=29), "up to 30 tokens"),
        (Limits(requests_per_minute=0), "no request of this sort can pass"),
        (Limits(concurrent_requests=0), "no request of this sort can pass"),
    ],
)
async def test_what_can_never_pass_is_not_worth_a_retry(quotas: Quotas, limits, advice):
    refused = await quotas.reserve(a_request("a", limits))
    assert isinstance(refused, Refusal)
    assert isinstance(refused.error, QuotaTooSmall)
    assert not refused.error.is_retryable
    assert refused.error.retry_after_s is None
    assert advice in refused.error.message


async def test_a_bucket_holds_burst_s_and_never_less_than_one_request(quotas: Quotas):
    limits = Limits(requests_per_minute=6, burst_s=30)
    for name in "abc":
        assert isinstance(await quotas.reserve(a_request(name, limits)), Admission)
    assert isinstance(await quotas.reserve(a_request("d", limits)), Refusal)
    slow = {"key:k1": Limits(requests_per_minute=1, burst_s=1)}
    assert isinstance(await quotas.reserve(a_request("e", scopes=slow)), Admission)
    assert isinstance(await quotas.reserve(a_request("f", scopes=slow)), Refusal)


async def test_asking_twice_takes_once(quotas: Quotas):
    wanted = a_request("a", Limits(requests_per_minute=2, concurrent_requests=1))
    first, again = await quotas.reserve(wanted), await quotas.reserve(wanted)
    assert isinstance(first, Admission)
    assert isinstance(again, Admission)
    assert again.requests is not None
    assert again.requests.remaining == 1
    assert await quotas.settle(used(wanted, 1, 1))
    assert not await quotas.settle(used(wanted, 1, 1))


async def test_tenants_do_not_share_counters(quotas: Quotas):
    limits = Limits(requests_per_minute=1)
    assert isinstance(await quotas.reserve(a_request("a", limits)), Admission)
    other = a_request("b", limits, event=an_event("b", "rival"))
    assert isinstance(await quotas.reserve(other), Admission)


async def test_settling_gives_back_what_was_not_used(quotas: Quotas):
    limits = Limits(output_tokens_per_minute=100, tokens_per_day=1_000, concurrent_requests=1)
    wanted = a_request("a", limits, tokens=(50, 100))
    assert isinstance(await quotas.reserve(wanted), Admission)
    assert await quotas.settle(used(wanted, 40, 10))
    given = await quotas.reserve(a_request("b", limits, tokens=(0, 90)))
    assert isinstance(given, Admission)
    # The day has 950 - 90, the minute 0 and what has drained meanwhile.
    assert given.tokens is not None
    assert given.tokens.limit == 100


async def test_using_more_than_reserved_is_paid_off_before_the_next(quotas: Quotas):
    limits = Limits(output_tokens_per_minute=60)
    wanted = a_request("a", limits, tokens=(0, 10))
    assert isinstance(await quotas.reserve(wanted), Admission)
    assert await quotas.settle(used(wanted, 0, 120))
    refused = await quotas.reserve(a_request("b", limits, tokens=(0, 10)))
    assert isinstance(refused, Refusal)
    assert 60 < refused.retry_after_s <= 70


async def test_a_soft_budget_and_thresholds_warn_and_let_through(quotas: Quotas):
    limits = Limits(budget_nusd=1_000, soft_budget_nusd=500)
    price = Price(input_nusd=10, output_nusd=10)

    async def warnings(name: str, tokens: int) -> tuple[str, ...]:
        wanted = a_request(name, limits, tokens=(0, tokens), price=price, warn_at_percent=(80, 100))
        given = await quotas.reserve(wanted)
        assert isinstance(given, Admission)
        return given.warnings

    assert await warnings("a", 50) == ()
    (soft,) = await warnings("b", 10)
    assert soft == "tenant 'acme' is past its soft budget of $0.0000005 a month"
    assert len(await warnings("c", 20)) == 2
    assert (await warnings("d", 20))[1].startswith("tenant 'acme' has used 100 % of its budget")


class TestOfAModelOverAllTenants:
    LIMITS = Limits(requests_per_minute=2, concurrent_requests=1)

    async def test_it_refuses_and_the_tenant_gets_everything_back(
        self, quotas: Quotas, usage: UsageStream
    ):
        own = Limits(requests_per_minute=2, concurrent_requests=2)
        first = a_request("a", own, model_limits=self.LIMITS)
        assert isinstance(await quotas.reserve(first), Admission)
        event = an_event("b", "rival")
        second = a_request("b", own, event=event, model_limits=self.LIMITS)
        refused = await quotas.reserve(second)
        assert isinstance(refused, Refusal)
        assert "model 'demo', by all together, is limited to 1" in refused.error.message
        given = await quotas.reserve(a_request("c", own, event=an_event("c", "rival")))
        assert isinstance(given, Admission)
        assert given.requests is not None
        assert given.requests.remaining == 1  # "b" left no trace
        assert await usage.lag() == 0

    async def test_the_tenant_refuses_and_the_model_gets_it_back(self, quotas: Quotas):
        own = Limits(concurrent_requests=0)
        refused = await quotas.reserve(a_request("a", own, model_limits=self.LIMITS))
        assert isinstance(refused, Refusal)
        other = a_request("b", event=an_event("b", "rival"), model_limits=self.LIMITS)
        assert isinstance(await quotas.reserve(other), Admission)

    async def test_settling_frees_both(self, quotas: Quotas, usage: UsageStream):
        for name in ("a", "b"):
            wanted = a_request(name, model_limits=self.LIMITS)
            assert isinstance(await quotas.reserve(wanted), Admission)
            assert await quotas.settle(used(wanted, 1, 1), has_model_lease=True)
        assert await usage.lag() == 2


async def test_many_at_once_get_exactly_the_bucket(quotas: Quotas):
    limits = Limits(requests_per_minute=20, concurrent_requests=15)
    given = await asyncio.gather(*(quotas.reserve(a_request(str(n), limits)) for n in range(64)))
    assert sum(isinstance(one, Admission) for one in given) == 15
