"""Where the counters of a request are in Redis: all of one tenant on one shard.

Limits across tenants are counted beside that, on a shard of the model's own.
"""

from dataclasses import dataclass

from serving.adapters.redis import shard_tag
from serving.contract.usage import UsageEvent


@dataclass(frozen=True, slots=True)
class QuotaKeys:
    """One lease's keys. `scopes` is always the same list for the same event."""

    tag: str
    lease: str
    leases: str
    stream: str
    scopes: tuple[str, ...]

    @property
    def of_reserve(self) -> tuple[str, ...]:
        return self.lease, self.leases, *self.scopes

    @property
    def of_settle(self) -> tuple[str, ...]:
        return self.lease, self.leases, self.stream, *self.scopes


def scope_names(event: UsageEvent) -> tuple[str, str, str, str]:
    """The scopes that a request can count in, in the order of its keys."""
    return event.principal, f"project:{event.project}", "tenant", f"model:{event.model}"


def of_tenant(event: UsageEvent) -> QuotaKeys:
    tag = shard_tag(event.tenant)
    counters = _counters(tag, event.tenant)
    return _keys(tag, event.id, *(f"{counters}{name}" for name in scope_names(event)))


def scope_key(tenant: str, name: str) -> str:
    """Where one of `scope_names` is counted."""
    return f"{_counters(shard_tag(tenant), tenant)}{name}"


def _counters(tag: str, tenant: str) -> str:
    return f"conch:{{{tag}}}:q:{tenant}:"


def of_model(event: UsageEvent) -> QuotaKeys:
    return of_model_tag(model_tag(event.model), event.id)


def model_tag(model: str) -> str:
    # A brace would end the hash tag early.
    return f"m:{model.replace('}', '%7D')}"


def of_model_tag(tag: str, lease_id: str) -> QuotaKeys:
    return _keys(tag, lease_id, model_scope_key(tag))


def model_scope_key(tag: str) -> str:
    """Where a model is counted over all tenants, by its `model_tag`."""
    return f"conch:{{{tag}}}:q"


def _keys(tag: str, lease_id: str, *scopes: str) -> QuotaKeys:
    return QuotaKeys(tag, lease_key(tag, lease_id), leases_key(tag), stream_key(tag), scopes)


def lease_key(tag: str, lease_id: str) -> str:
    return f"conch:{{{tag}}}:lease:{lease_id}"


def leases_key(tag: str) -> str:
    return f"conch:{{{tag}}}:leases"


def stream_key(tag: str) -> str:
    return f"conch:{{{tag}}}:usage"
