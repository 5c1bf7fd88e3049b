"""The Lua scripts of the quotas as commands; what each key and argument means is in their heads."""

from collections.abc import Sequence
from functools import lru_cache

from serving.adapters.quota_keys import QuotaKeys, lease_key, leases_key
from serving.adapters.redis_scripts import Command, Script
from serving.contract.policy import Limits
from serving.contract.quota import Reservation, Scope
from serving.contract.usage import UsageEvent

RESERVE = Script("quota_clock", "quota_scope", "quota_reserve")
SETTLE = Script("quota_clock", "quota_scope", "quota_lease", "quota_settle")
REAP = Script("quota_clock", "quota_scope", "quota_lease", "quota_reap")
RENEW = Script("quota_clock", "quota_renew")
NOT_COUNTED = "-"


def reserve(
    keys: QuotaKeys,
    wanted: Reservation,
    scopes: Sequence[Scope | None],
    event: bytes,
    lease_ms: int,
) -> Command:
    limits = [NOT_COUNTED if scope is None else limits_text(scope.limits) for scope in scopes]
    amounts = wanted.input_tokens, wanted.output_tokens, wanted.cost_nusd
    return RESERVE.call(keys.of_reserve, wanted.event.id, lease_ms, *amounts, event, *limits)


def settle(keys: QuotaKeys, used: UsageEvent, event: bytes) -> Command:
    return SETTLE.call(keys.of_settle, used.id, 1, *_amounts(used), event)


def give_back(keys: QuotaKeys, event: UsageEvent) -> Command:
    """As if it had never been reserved."""
    return SETTLE.call(keys.of_settle, event.id, 0, 0, 0, 0, b"")


def renew(leases: Sequence[tuple[QuotaKeys, UsageEvent, bytes]], lease_ms: int) -> Command:
    """`leases` are of one shard."""
    keys = [leases[0][0].leases, *(keys.lease for keys, _, _ in leases)]
    words = [word for _, used, event in leases for word in (used.id, *_amounts(used), event)]
    return RENEW.call(keys, lease_ms, *words)


def reap(keys: QuotaKeys, lease_id: str) -> Command:
    return REAP.call(keys.of_settle, lease_id)


def expired(tag: str, now: float, count: int) -> Command:
    until_ms = round(now * 1e3)
    return Command(("ZRANGEBYSCORE", leases_key(tag), "-inf", until_ms, "LIMIT", 0, count))


def event_of(tag: str, lease_id: str) -> Command:
    return Command(("HGET", lease_key(tag, lease_id), "event"))


def _amounts(used: UsageEvent) -> tuple[int, int, int]:
    if used.cache is not None:
        return 0, 0, used.cost_nusd
    return used.prompt_tokens, used.completion_tokens, used.cost_nusd


@lru_cache(maxsize=4096)
def limits_text(limits: Limits) -> str:
    numbers = (
        limits.requests_per_minute,
        limits.input_tokens_per_minute,
        limits.output_tokens_per_minute,
        limits.tokens_per_day,
        limits.concurrent_requests,
        limits.budget_nusd,
        limits.soft_budget_nusd,
        limits.burst_s,
    )
    return ":".join("" if number is None else str(number) for number in numbers)
