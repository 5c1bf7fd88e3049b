"""Budgets after Redis has lost what was spent, on the real Redis and PostgreSQL."""

import time
from dataclasses import replace

import pytest
from usage_events import an_event, migrated, put_policy

from control_plane.policy_copy import PolicyCopy
from control_plane.usage.budgets import Budgets, month_of
from control_plane.usage.ledger import book
from serving.adapters import redis as redis_adapter
from serving.adapters.quotas import Quotas
from serving.adapters.spent import SpentCounters, SpentScope
from serving.contract.errors import BudgetExhausted
from serving.contract.permissions import Role
from serving.contract.policy import Key, Limits, Model, Price, Project, Secret, Tenant
from serving.contract.quota import Refusal, Reservation, Scope

BUDGET = Limits(budget_nusd=1000)


@pytest.fixture
async def redis(redis_server):
    redis_server.flush()
    async with redis_adapter.connect(redis_server.settings()) as client:
        yield client


def a_key(**given):
    return Key("aaaaaaaaaa", "k", Role.SERVICE, (Secret("d"),), tenant="acme", **given)


def wanted(name, *, tokens, **given):
    """A request that costs as many nanodollars as it has tokens."""
    event = an_event(began_at=time.time(), **given)
    scopes = () if name is None else (Scope(name, BUDGET),)
    model_limits = BUDGET if name is None else None
    return Reservation(event, scopes, tokens, 0, Price(input_nusd=1), model_limits=model_limits)


async def is_refused(redis, name, *, tokens):
    given = await Quotas(redis, lease_s=30).reserve(wanted(name, tokens=tokens))
    return isinstance(given, Refusal) and isinstance(given.error, BudgetExhausted)


@pytest.mark.parametrize(
    ("document", "scope"),
    [
        (Tenant("acme", "Acme", limits=BUDGET), "tenant"),
        (Tenant("acme", "Acme", model_limits={"demo": BUDGET}), "model:demo"),
        (Project("acme/web", "acme", "web", limits=BUDGET), "project:acme/web"),
        (a_key(limits=BUDGET), "key:aaaaaaaaaa"),
        (Model("demo", limits=Limits(soft_budget_nusd=1)), None),
    ],
)
async def test_what_was_spent_is_known_again(redis, database, document, scope):
    async with migrated(database) as connected:
        await put_policy(connected, Tenant("acme", "Acme"), document)
        async with connected.session() as session:
            events = [an_event(began_at=time.time(), cost_nusd=450) for _ in range(2)]
            await book(session, [*events, an_event(cost_nusd=5000)])  # that was long ago
        budgets = Budgets(SpentCounters(redis), connected, PolicyCopy(), every_s=60)
        await budgets.step()
        assert await is_refused(redis, scope, tokens=101)
        assert not await is_refused(redis, scope, tokens=100)


async def test_what_redis_knows_is_never_lowered(redis):
    quotas, counters = Quotas(redis, lease_s=30), SpentCounters(redis)
    _, _, month = month_of(time.time())
    reservation = wanted("tenant", tokens=10)
    await quotas.reserve(reservation)
    await quotas.settle(replace(reservation.event, cost_nusd=900))
    assert await counters.seed(month, {SpentScope("acme", "tenant"): 800}) == 0
    assert await counters.seed(month - 1, {SpentScope("acme", "tenant"): 990}) == 0
    assert not await is_refused(redis, "tenant", tokens=100)
    assert await counters.seed(month, {SpentScope("acme", "tenant"): 901}) == 1
    assert await is_refused(redis, "tenant", tokens=1)


async def test_it_looks_again_when_redis_has_lost_what_it_knew(redis, redis_server):
    counters = SpentCounters(redis)
    await counters.mark(60)
    assert await counters.are_known()
    redis_server.flush()
    assert not await counters.are_known()


def test_months_are_of_the_calendar_in_utc():
    december = 1_766_000_000  # 2025-12-17
    begin, end, number = month_of(december)
    assert (number, (end - begin) / 86400) == (202512, 31)
    assert month_of(end)[2] == 202601
    assert month_of(begin - 1)[2] == 202511


async def test_on_a_cluster_each_tenant_is_on_its_own_node(redis_cluster):
    redis_cluster.flush()
    async with redis_adapter.connect(redis_cluster.settings()) as redis:
        counters = SpentCounters(redis)
        _, _, month = month_of(time.time())
        spent = {SpentScope(f"tenant-{n}", f"project:{p}"): 5 for n in range(20) for p in range(9)}
        spent |= {SpentScope(None, f"model-{n}"): 5 for n in range(5)}
        assert not await counters.are_known()
        assert await counters.seed(month, spent) == len(spent)
        await counters.mark(60)
        assert await counters.are_known()
