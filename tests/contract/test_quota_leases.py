"""Leases: each ends once, by settling or by being reaped, and leaves exactly one usage event."""

import time
from dataclasses import replace

import pytest
from quota_requests import a_request, an_event, used
from stores import RedisStore

from serving.adapters.quotas import Quotas
from serving.adapters.redis import Redis, StoreRefused, connect
from serving.adapters.usage_stream import Entry, UsageStream
from serving.contract.policy import Limits, Price
from serving.contract.quota import Admission, Refusal
from serving.contract.usage import Status, UsageEvent

ONE = Limits(concurrent_requests=1)
AT_ONCE_S = 0.0  # leases that have expired when they are taken


async def stored(usage: UsageStream) -> list[UsageEvent]:
    """What has come since the last time, acknowledged."""
    entries = await usage.read("test", 100, block_ms=0)
    await usage.ack(entries)
    assert all(entry.event for entry in entries)
    return [entry.event for entry in entries if entry.event]


async def test_a_settled_request_leaves_its_event_and_nothing_else(
    quotas: Quotas, quota_redis: Redis, usage: UsageStream
):
    wanted = a_request("a", ONE)
    await quotas.reserve(wanted)
    event = used(wanted, 3, 4, cost_nusd=2**53 + 2, latency_ms=1.5, user="é\n")
    assert await quotas.settle(event)
    assert await stored(usage) == [event]
    assert await quota_redis.exists("conch:{s8}:lease:a") == 0
    assert await quota_redis.zcard("conch:{s8}:leases") == 0


async def test_settling_twice_does_nothing_the_second_time(quotas: Quotas, usage: UsageStream):
    first, second = a_request("a", ONE), a_request("b", ONE)
    await quotas.reserve(first)
    assert await quotas.settle(used(first, 3, 4))
    await quotas.reserve(second)
    assert not await quotas.settle(used(first, 30, 40))
    assert isinstance(await quotas.reserve(a_request("c", ONE)), Refusal)
    assert len(await stored(usage)) == 1


async def test_what_runs_is_not_reaped(quotas: Quotas, usage: UsageStream):
    wanted = a_request("a", ONE)
    await quotas.reserve(wanted)
    assert await quotas.reap(time.time() + 3600) == 0
    assert await quotas.settle(used(wanted, 1, 1))
    assert [event.status for event in await stored(usage)] == [Status.OK]


async def test_an_expired_lease_becomes_a_lost_event_once(quota_redis: Redis, usage: UsageStream):
    quotas = Quotas(quota_redis, lease_s=AT_ONCE_S)
    wanted = a_request("a", ONE)
    await quotas.reserve(wanted)
    assert await reaped(quotas) == 1
    assert await reaped(quotas) == 0
    assert await stored(usage) == [wanted.event]
    assert not await quotas.settle(used(wanted, 3, 4))
    await quotas.record(used(wanted, 3, 4))
    (late,) = await stored(usage)
    assert (late.id, late.status) == ("a", Status.OK)


async def test_reaping_frees_what_was_reserved(quota_redis: Redis):
    quotas = Quotas(quota_redis, lease_s=AT_ONCE_S)
    limits = replace(ONE, output_tokens_per_minute=100, budget_nusd=100)
    price = Price(output_nusd=1)
    await quotas.reserve(a_request("a", limits, tokens=(0, 100), price=price))
    assert await reaped(quotas) == 1
    given = await quotas.reserve(a_request("b", limits, tokens=(0, 100), price=price))
    assert isinstance(given, Admission)


async def test_a_lost_request_is_billed_what_its_last_renewal_said(
    quota_redis: Redis, usage: UsageStream
):
    quotas = Quotas(quota_redis, lease_s=AT_ONCE_S)
    limits = Limits(output_tokens_per_minute=100, budget_nusd=1_000)
    wanted = a_request("a", limits, tokens=(0, 100), price=Price(output_nusd=10))
    await quotas.reserve(wanted)
    for tokens in (10, 30):
        so_far = used(wanted, 5, tokens, cost_nusd=10 * tokens)
        await quotas.renew([replace(so_far, status=Status.LOST)])
    assert await reaped(quotas) == 1
    (event,) = await stored(usage)
    assert (event.status, event.prompt_tokens, event.completion_tokens) == (Status.LOST, 5, 30)
    assert event.cost_nusd == 300
    left = await quotas.reserve(a_request("b", limits, tokens=(0, 70), price=Price(output_nusd=10)))
    assert isinstance(left, Admission)
    more = a_request("c", Limits(budget_nusd=1_000), tokens=(0, 1), price=Price(output_nusd=10))
    assert isinstance(await quotas.reserve(more), Refusal)


async def test_a_renewed_lease_lives_on(quotas: Quotas, quota_redis: Redis):
    wanted = a_request("a", ONE)
    await Quotas(quota_redis, lease_s=AT_ONCE_S).reserve(wanted)
    await quotas.renew([wanted.event])
    assert await reaped(quotas) == 0
    assert await quotas.settle(used(wanted, 1, 1))


async def test_a_lease_that_is_gone_is_not_renewed(quotas: Quotas, usage: UsageStream):
    wanted = a_request("a", ONE)
    await quotas.reserve(wanted)
    await quotas.settle(used(wanted, 1, 1))
    await quotas.renew([wanted.event])
    assert not await quotas.settle(used(wanted, 1, 1))
    assert await quotas.reap(time.time() + 3600) == 0


async def test_many_leases_of_many_shards_are_renewed_and_reaped_together(
    quota_redis: Redis, usage: UsageStream
):
    quotas = Quotas(quota_redis, lease_s=AT_ONCE_S)
    wanted = [a_request(f"{n}", ONE, event=an_event(f"{n}", f"tenant-{n}")) for n in range(130)]
    for one in wanted:
        assert isinstance(await quotas.reserve(one), Admission)
    await quotas.renew([used(one, 1, 2) for one in wanted])
    assert await reaped(quotas) == len(wanted)
    events: list[UsageEvent] = []
    while more := await stored(usage):
        events += more
    assert {event.id for event in events} == {one.event.id for one in wanted}
    assert {event.completion_tokens for event in events} == {2}


@pytest.mark.parametrize("is_reaped", [True, False])
async def test_a_redis_out_of_memory_ends_no_lease_without_its_event(
    redis_server: RedisStore, is_reaped: bool
):
    redis_server.flush()
    wanted = a_request("a", scopes={})
    with redis_server.client() as admin:
        async with connect(redis_server.settings()) as redis:
            quotas, usage = Quotas(redis, lease_s=AT_ONCE_S), UsageStream(redis)
            await quotas.reserve(wanted)
            admin.config_set("maxmemory", 1)
            try:
                with pytest.raises(StoreRefused, match="maxmemory"):
                    await (reaped(quotas) if is_reaped else quotas.settle(used(wanted, 1, 1)))
            finally:
                admin.config_set("maxmemory", 0)
            assert await stored(usage) == []
            assert await (reaped(quotas) if is_reaped else quotas.settle(used(wanted, 1, 1)))
            assert len(await stored(usage)) == 1


async def test_slots_of_a_gateway_that_died_are_given_to_the_next(quota_redis: Redis):
    await Quotas(quota_redis, lease_s=AT_ONCE_S).reserve(a_request("a", ONE))
    quotas = Quotas(quota_redis, lease_s=30)
    assert isinstance(await quotas.reserve(a_request("b", ONE)), Admission)


async def test_a_model_s_own_leases_are_reaped_by_who_comes_across_them(
    quota_redis: Redis, usage: UsageStream
):
    wanted = a_request("a", model_limits=ONE)
    await Quotas(quota_redis, lease_s=AT_ONCE_S).reserve(wanted)
    quotas = Quotas(quota_redis, lease_s=30)
    other = a_request("b", event=an_event("b", "rival"), model_limits=ONE)
    assert isinstance(await quotas.reserve(other), Admission)
    assert await stored(usage) == []  # it is no request's lease


async def test_events_that_nobody_understands_are_delivered_as_they_are(
    quota_redis: Redis, usage: UsageStream
):
    await quota_redis.xadd("conch:{s3}:usage", {"event": b"{"})
    await quota_redis.xadd("conch:{s3}:usage", {"other": b"1"})
    entries = await usage.read("test", 10, block_ms=0)
    assert [(e.shard, e.event, e.payload) for e in entries] == [
        ("s3", None, b"{"),
        ("s3", None, b""),
    ]


async def test_what_was_not_acknowledged_is_delivered_again(quotas: Quotas, usage: UsageStream):
    await usage.ensure_groups()
    await quotas.record(an_event("a"))
    await quotas.record(an_event("b", "other"))
    first = await usage.read("one", 10, block_ms=0)
    assert len(first) == 2
    assert await usage.read("two", 10, block_ms=0) == []
    assert await usage.claim_stale("two", idle_ms=3_600_000) == []
    again = await usage.claim_stale("two", idle_ms=0)
    assert ids(again) == ids(first)
    await usage.ack(again)
    assert await usage.claim_stale("three", idle_ms=0) == []
    assert await usage.lag() == 0


async def test_a_reader_outlives_the_loss_of_all_data(
    quotas: Quotas, quota_redis: Redis, usage: UsageStream
):
    await usage.ensure_groups()
    await quota_redis.flushall()
    assert await usage.claim_stale("one", idle_ms=0) == []
    await quotas.record(an_event("a"))
    assert ids(await usage.read("one", 10, block_ms=1_000)) == {"a"}


def ids(entries: list[Entry]) -> set[str]:
    return {entry.event.id for entry in entries if entry.event}


async def reaped(quotas: Quotas) -> int:
    return await quotas.reap(time.time() + 3600)
