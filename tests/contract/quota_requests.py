"""Requests to reserve for, and the scripts run at times that a test sets."""

import copy
import json
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Any

import redis as client

from serving.adapters import quota_keys, quota_scripts
from serving.adapters.quota_words import Verdict, verdict
from serving.adapters.redis_scripts import Command, Script
from serving.adapters.usage_events import encode
from serving.contract.policy import FREE, Limits, Price
from serving.contract.quota import Reservation, Scope
from serving.contract.usage import Status, UsageEvent

CLOCK = "clock"
TENANT = "acme"
BEGAN_AT = 1_800_000_000.0


def an_event(lease_id: str, tenant: str = TENANT, **more: Any) -> UsageEvent:
    """What is known before a request has run."""
    fields: dict[str, Any] = {
        "request_id": f"req_{lease_id}",
        "began_at": BEGAN_AT,
        "tenant": tenant,
        "project": f"{tenant}/web",
        "principal": "key:k1",
        "endpoint": "chat",
        "model": "demo",
        "status": Status.LOST,
    }
    return UsageEvent(id=lease_id, **fields | more)


def a_request(
    lease_id: str,
    limits: Limits | None = None,
    *,
    scopes: dict[str, Limits] | None = None,
    tokens: tuple[int, int] = (10, 20),
    price: Price = FREE,
    event: UsageEvent | None = None,
    **more: Any,
) -> Reservation:
    """One that counts in its tenant with `limits`, or in `scopes`."""
    limited = {"tenant": limits or Limits()} if scopes is None else scopes
    return Reservation(
        event or an_event(lease_id),
        tuple(Scope(name, its) for name, its in limited.items()),
        *tokens,
        price,
        **more,
    )


def used(wanted: Reservation, prompt: int, completion: int, **more: Any) -> UsageEvent:
    """Its event when it has ended."""
    event = replace(wanted.event, status=Status.OK, prompt_tokens=prompt)
    return replace(event, completion_tokens=completion, **more)


@dataclass(frozen=True)
class Clocked:
    """The scripts on one server, at the time that was set last. Times are ms."""

    redis: client.Redis

    @staticmethod
    def script(script: Script) -> Script:
        clocked = copy.copy(script)
        clocked.source = script.source.replace(
            "redis.call('TIME')", f"cjson.decode(redis.call('GET', '{CLOCK}'))"
        )
        assert clocked.source != script.source
        clocked.sha = sha1(clocked.source.encode()).hexdigest()
        return clocked

    def at(self, now_ms: int) -> None:
        self.redis.set(CLOCK, json.dumps([now_ms // 1000, now_ms % 1000 * 1000]))

    def reserve(self, wanted: Reservation, lease_ms: int = 30_000) -> Verdict:
        by_name = {scope.name: scope for scope in wanted.scopes}
        scopes = [by_name.get(name) for name in quota_keys.scope_names(wanted.event)]
        keys, event = quota_keys.of_tenant(wanted.event), encode(wanted.event)
        return verdict(
            self._run(quota_scripts.reserve(keys, wanted, scopes, event, lease_ms)), scopes
        )

    def settle(self, event: UsageEvent) -> bool:
        keys = quota_keys.of_tenant(event)
        return bool(self._run(quota_scripts.settle(keys, event, encode(event))))

    def reap(self, event: UsageEvent) -> bool:
        return bool(self._run(quota_scripts.reap(quota_keys.of_tenant(event), event.id)))

    def renew(self, event: UsageEvent, lease_ms: int = 30_000) -> list[int]:
        lease = (quota_keys.of_tenant(event), event, encode(event))
        return self._run(quota_scripts.renew([lease], lease_ms))

    def lifetime_ms(self, event: UsageEvent, scope: str) -> int:
        """Until the counters of `scope` expire; -1 never, -2 there are none."""
        names = quota_keys.scope_names(event)
        return self.redis.pttl(quota_keys.of_tenant(event).scopes[names.index(scope)])

    def _run(self, command: Command) -> Any:
        try:
            return self.redis.execute_command(*command.words)
        except client.exceptions.NoScriptError:
            assert command.fallback is not None
            return self.redis.execute_command(*command.fallback)
