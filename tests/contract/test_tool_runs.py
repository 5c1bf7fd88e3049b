"""Runs of calls and their approvals, on a real Redis, alone and as a cluster."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from serving.adapters import tool_approvals
from serving.adapters.redis import Redis
from serving.adapters.redis_lane import Lane, lane
from serving.adapters.tool_approvals import ApprovalStore
from serving.adapters.tool_runs import Known, Made, RunStore
from serving.contract.approvals import Approval, ApprovalStatus, new_ask_id

APPROVED, DENIED, PENDING = (
    ApprovalStatus.APPROVED,
    ApprovalStatus.DENIED,
    ApprovalStatus.PENDING,
)


@pytest.fixture
async def tool_lane(quota_redis: Redis) -> AsyncIterator[Lane]:
    async with lane(quota_redis) as shared:
        yield shared


@pytest.fixture
def runs(tool_lane: Lane) -> RunStore:
    return RunStore(tool_lane)


@pytest.fixture
def approvals(tool_lane: Lane) -> ApprovalStore:
    return ApprovalStore(tool_lane)


async def known(
    runs: RunStore,
    session: str | None = "s",
    rates: Mapping[str, int] | None = None,
    *ids: str,
    tenant: str = "acme",
) -> Known:
    return await runs.read(tenant, session, rates or {}, ids)


def made(is_tainted: bool = False, **calls: int) -> Made:
    return Made(calls, is_tainted)


def an_approval(tenant: str = "acme", **more: Any) -> Approval:
    fields: dict[str, Any] = {
        "id": new_ask_id(),
        "tenant": tenant,
        "project": f"{tenant}/web",
        "principal": "key:k1",
        "tool": "send",
        "arguments": '{"to": "é"}',
        "digest": "d1",
        "created_at": 1_800_000_000.5,
        "session": "s",
    }
    return Approval(**fields | more)


async def test_of_a_new_session_nothing_is_known(runs: RunStore):
    assert await known(runs) == Known(0, False, {}, {})


async def test_calls_of_a_session_add_up_and_taint_stays(runs: RunStore):
    await runs.add("acme", "s", {}, made(read=2))
    await runs.add("acme", "s", {}, made(True, send=1))
    await runs.add("acme", "s", {}, made(send=1))
    assert await known(runs) == Known(4, True, {}, {})
    assert await known(runs, "other") == Known(0, False, {}, {})
    assert await known(runs, tenant="rival") == Known(0, False, {}, {})


async def test_a_session_is_forgotten_when_it_is_idle(runs: RunStore, quota_redis: Redis):
    await runs.add("acme", "s", {}, made(read=1))
    assert 3500_000 < await quota_redis.pttl("conch:{s8}:run:acme:+s") <= 3600_000


async def test_without_a_session_calls_count_for_their_rates_alone(runs: RunStore):
    await runs.add("acme", None, {"read": 10}, made(True, read=3))
    assert await known(runs, None, {"read": 10}) == Known(0, False, {"read": 7}, {})
    assert await known(runs, "-") == Known(0, False, {}, {})


async def test_a_rate_is_of_a_tenant_and_a_tool(runs: RunStore):
    rates = {"read": 3, "send": 60, "never": 0}
    assert (await known(runs, "s", rates)).rates_left == {"read": 3, "send": 60, "never": 0}
    await runs.add("acme", "s", rates, made(read=2, send=1, never=1))
    left = (await known(runs, "other", rates)).rates_left
    assert left == {"read": 1, "send": 59, "never": 0}
    assert (await known(runs, "s", rates, tenant="rival")).rates_left["read"] == 3


async def test_a_rate_wears_off_smoothly(runs: RunStore):
    rates = {"fast": 1200}  # one in 50 ms
    await runs.add("acme", "s", rates, made(fast=1200))
    async with asyncio.timeout(5):
        while (await known(runs, "s", rates)).rates_left["fast"] < 4:
            await asyncio.sleep(0.01)


async def test_more_calls_than_a_minute_allows_do_not_lock_a_tool_for_long(
    runs: RunStore, quota_redis: Redis
):
    await runs.add("acme", "s", {"read": 1}, made(read=10_000))
    assert await quota_redis.pttl("conch:{s8}:toolrate:acme:read") <= 120_001


async def test_an_approval_waits_until_somebody_decides(runs: RunStore, approvals: ApprovalStore):
    one = an_approval()
    assert await approvals.add(one)
    assert await approvals.waiting("acme", None, 10) == [one]
    assert (await known(runs, "s", None, one.id)).approvals == {one.id: (PENDING, "d1")}
    assert await approvals.decide(one, APPROVED, "user:ann", "fine")
    assert await approvals.waiting("acme", None, 10) == []
    assert (await known(runs, "s", None, one.id)).approvals == {one.id: (APPROVED, "d1")}
    found = await approvals.find("acme", one.id)
    assert found is not None
    assert found.decided_at is not None
    told = replace(one, status=APPROVED, decided_by="user:ann", reason="fine")
    assert replace(found, decided_at=None) == told


async def test_a_decision_is_made_once(approvals: ApprovalStore):
    one = an_approval()
    await approvals.add(one)
    assert await approvals.decide(one, DENIED, "user:ann", "")
    assert await approvals.decide(one, DENIED, "user:bob", "")
    assert not await approvals.decide(one, APPROVED, "user:bob", "")
    await approvals.add(one)
    found = await approvals.find("acme", one.id)
    assert found is not None
    assert (found.status, found.decided_by, found.reason) == (DENIED, "user:ann", None)


async def test_an_approval_belongs_to_its_tenant(runs: RunStore, approvals: ApprovalStore):
    one = an_approval()
    await approvals.add(one)
    stolen = replace(one, tenant="rival")
    assert await approvals.find("rival", one.id) is None
    assert not await approvals.decide(stolen, APPROVED, "user:eve", "")
    assert await approvals.waiting("rival", None, 10) == []
    found = await known(runs, "s", None, one.id, tenant="rival")
    assert found.approvals == {one.id: None}


async def test_projects_are_told_apart_and_the_oldest_come_first(approvals: ApprovalStore):
    web = [an_approval(arguments=str(n)) for n in range(3)]
    other = an_approval(project="acme/other")
    for one in (web[0], other, web[1], web[2]):
        await approvals.add(one)
        await asyncio.sleep(0.002)
    assert await approvals.waiting("acme", "acme/web", 2) == web[:2]
    assert await approvals.waiting("acme", None, 10) == [web[0], other, *web[1:]]


async def test_one_that_nobody_decides_is_forgotten(runs: RunStore, tool_lane: Lane):
    approvals = ApprovalStore(tool_lane, pending_s=0.05)
    one = an_approval()
    await approvals.add(one)
    async with asyncio.timeout(5):
        while await approvals.find("acme", one.id) is not None:
            await asyncio.sleep(0.02)
    assert await approvals.waiting("acme", None, 10) == []
    assert not await approvals.decide(one, APPROVED, "user:ann", "")
    assert (await known(runs, "s", None, one.id)).approvals == {one.id: None}


async def test_what_is_decided_is_kept_from_when_it_is_asked_for(
    runs: RunStore, approvals: ApprovalStore, quota_redis: Redis
):
    one = an_approval()
    await approvals.add(one)
    await approvals.decide(one, APPROVED, "user:ann", "")
    key = tool_approvals.approval_key("acme", one.id)
    await quota_redis.pexpire(key, 5_000)
    await known(runs, "s", None, one.id)
    assert await quota_redis.pttl(key) > 29 * 24 * 3600 * 1000


async def test_no_more_wait_than_may(approvals: ApprovalStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tool_approvals, "MOST_WAITING", 2)
    told = [await approvals.add(an_approval()) for _ in range(3)]
    assert told == [1, 1, 0]
    assert len(await approvals.waiting("acme", None, 10)) == 2
