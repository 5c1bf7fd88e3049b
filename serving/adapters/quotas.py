"""Quotas in Redis: reserve before a request, settle after it, renew while it runs, reap the rest.

All that a request counts in is checked and taken in one step, and settled together with its usage
event in another. Whatever is asked for twice is done once.
"""

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Sequence
from typing import Protocol

import structlog

from serving.adapters import quota_keys, quota_scripts
from serving.adapters.quota_keys import QuotaKeys
from serving.adapters.quota_words import ALL_TENANTS, Verdict, admission, refusal, verdict
from serving.adapters.redis import Redis, shard_tags
from serving.adapters.redis_scripts import Command
from serving.adapters.redis_wire import Reply, Wire
from serving.adapters.usage_events import Malformed, decode, encode
from serving.contract.errors import QuotaConcurrency
from serving.contract.quota import Admission, Refusal, Reservation, Scope
from serving.contract.usage import UsageEvent

REAPED_AT_ONCE = 100  # of each shard
RENEWED_AT_ONCE = 100
log: structlog.stdlib.BoundLogger = structlog.get_logger("quota")


class Asks(Protocol):
    """A Wire, or a Lane before one."""

    def ask(self, command: Command, *, is_urgent: bool = True) -> Awaitable[Reply]: ...


class Quotas:
    """Every method raises StoreUnavailable; what it was to do may then have been done or not."""

    def __init__(self, redis: Redis, *, lease_s: float, lane: Asks | None = None) -> None:
        """Many requests of one process share a `lane`."""
        self._asks: Asks = Wire(redis) if lane is None else lane
        self._lease_ms = round(lease_s * 1e3)
        self._expired: set[tuple[str, str]] = set()

    async def reserve(self, wanted: Reservation) -> Admission | Refusal:
        """Take what `wanted` says from all its scopes and from its model, or nothing.

        `wanted.scopes` are some of `quota_keys.scope_names` of its event.
        """
        given = await self._reserve(wanted)
        if isinstance(given, Refusal) and isinstance(given.error, QuotaConcurrency):
            # Those whose gateway died count until they are reaped.
            return await self._reserve(wanted) if await self.reap_seen() else given
        return given

    async def _reserve(self, wanted: Reservation) -> Admission | Refusal:
        if wanted.model_limits is None:
            own = await self._of_tenant(wanted)
            return admission(own, wanted) if own.is_taken else refusal(own, wanted)
        own, shared = await asyncio.gather(self._of_tenant(wanted), self._of_model(wanted))
        if own.is_taken and shared.is_taken:
            return admission(own, wanted)
        if own.is_taken:
            await self._give_back(quota_keys.of_tenant(wanted.event), wanted.event)
        if shared.is_taken:
            await self._give_back(quota_keys.of_model(wanted.event), wanted.event)
        return refusal(shared if own.is_taken else own, wanted)

    async def _of_tenant(self, wanted: Reservation) -> Verdict:
        by_name = {scope.name: scope for scope in wanted.scopes}
        scopes = [by_name.get(name) for name in quota_keys.scope_names(wanted.event)]
        keys, event = quota_keys.of_tenant(wanted.event), encode(wanted.event)
        return await self._verdict(wanted, keys, scopes, event)

    async def _of_model(self, wanted: Reservation) -> Verdict:
        assert wanted.model_limits is not None
        scopes = [Scope(ALL_TENANTS, wanted.model_limits)]
        return await self._verdict(wanted, quota_keys.of_model(wanted.event), scopes, b"")

    async def _verdict(
        self, wanted: Reservation, keys: QuotaKeys, scopes: Sequence[Scope | None], event: bytes
    ) -> Verdict:
        command = quota_scripts.reserve(keys, wanted, scopes, event, self._lease_ms)
        given = verdict(await self._asks.ask(command), scopes)
        self._expired.update((keys.tag, lease_id) for lease_id in given.expired)
        return given

    async def _give_back(self, keys: QuotaKeys, event: UsageEvent) -> None:
        await self._asks.ask(quota_scripts.give_back(keys, event))

    async def settle(self, event: UsageEvent, *, has_model_lease: bool = False) -> bool:
        """End the lease of `event` with what it says was used. False: it was gone, nothing done."""
        own = quota_scripts.settle(quota_keys.of_tenant(event), event, encode(event))
        if not has_model_lease:
            return bool(await self._asks.ask(own, is_urgent=False))
        shared = quota_scripts.settle(quota_keys.of_model(event), event, b"")
        is_settled, _ = await self._all([own, shared], is_urgent=False)
        return bool(is_settled)

    async def record(self, event: UsageEvent) -> None:
        """Write the event of a request without a lease, or of one whose lease is gone."""
        keys = quota_keys.of_tenant(event)
        words = ("XADD", keys.stream, "*", "event", encode(event))
        await self._asks.ask(Command(words), is_urgent=False)

    async def renew(
        self, events: Iterable[UsageEvent], *, with_model_lease: Collection[str] = ()
    ) -> None:
        """Keep leases alive. Each event is what is billed if it is the last that is heard of it.

        `with_model_lease` are the ids of those that have one. A lease that is gone stays gone.
        """
        by_shard: dict[str, list[tuple[QuotaKeys, UsageEvent, bytes]]] = {}
        for event in events:
            own = quota_keys.of_tenant(event)
            by_shard.setdefault(own.tag, []).append((own, event, encode(event)))
            if event.id in with_model_lease:
                shared = quota_keys.of_model(event)
                by_shard.setdefault(shared.tag, []).append((shared, event, b""))
        await self._all(
            [
                quota_scripts.renew(leases[n : n + RENEWED_AT_ONCE], self._lease_ms)
                for leases in by_shard.values()
                for n in range(0, len(leases), RENEWED_AT_ONCE)
            ]
        )

    async def reap(self, now: float) -> int:
        """End leases of all tenants that expired before `now`, Unix time; returns how many.

        Each becomes the event of its last renewal. Whether it has expired is for Redis' own clock
        to say, so `now` need not be exact.
        """
        tags = shard_tags()
        found = await self._all([quota_scripts.expired(tag, now, REAPED_AT_ONCE) for tag in tags])
        return await self._reap(
            [(tag, lease.decode()) for tag, ids in zip(tags, found, strict=True) for lease in ids]
        )

    async def reap_seen(self) -> int:
        """End the expired leases that `reserve` has come across; returns how many."""
        seen, self._expired = list(self._expired), set()
        return await self._reap(seen) if seen else 0

    async def _reap(self, expired: Sequence[tuple[str, str]]) -> int:
        events = await self._all([quota_scripts.event_of(tag, lease) for tag, lease in expired])
        commands = [
            quota_scripts.reap(keys, lease)
            for (tag, lease), event in zip(expired, events, strict=True)
            if (keys := _keys(tag, lease, event)) is not None
        ]
        return sum(await self._all(commands))

    async def ping(self) -> None:
        await self._asks.ask(Command(("PING",)))

    async def _all(self, commands: Sequence[Command], *, is_urgent: bool = True) -> list[Reply]:
        return await asyncio.gather(*(self._asks.ask(c, is_urgent=is_urgent) for c in commands))


def _keys(tag: str, lease_id: str, event: bytes | None) -> QuotaKeys | None:
    """The keys of a lease that `event` was found in. None: it is gone, or nobody can read it."""
    if event is None:
        return None
    if not event:  # a model's own lease stands for no request
        return quota_keys.of_model_tag(tag, lease_id)
    try:
        return quota_keys.of_tenant(decode(event))
    except Malformed as error:
        log.error("lease_unreadable", shard=tag, lease=lease_id, reason=str(error))  # noqa: TRY400
        return None
