"""The policy's versions, what they changed, and the runtime settings, on the wire."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import Row

from control_plane.guardrails.schemas import PolicyId
from control_plane.policy.rules import AdapterRules, is_in_sight_of
from control_plane.store.audit import without_secrets
from control_plane.wire import LARGEST, UNSET, Body, Count, Second, View
from serving.contract.cache import LONGEST_TTL_S, CacheMode, CacheScope
from serving.contract.policy import AdapterRule, LogPrivacy, OnRedisDown
from serving.contract.principal import Principal

Percents = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1000)], ...],
    Field(max_length=16),
    AfterValidator(lambda percents: tuple(sorted(set(percents)))),
]
Json = dict[str, Any]


class PolicyView(BaseModel):
    """The newest version. Gateways have it within a second."""

    object: Literal["policy"] = "policy"
    epoch: str
    version: int


class VersionView(View):
    object: Literal["policy.version"] = "policy.version"
    version: int
    at: Second
    actor: str
    summary: str


class ChangeView(BaseModel):
    """One document, before and after; null where it was not there. Keys without their secrets."""

    kind: str
    id: str
    before: Json | None
    after: Json | None

    @classmethod
    def of(cls, first: Row[Any], last: Row[Any]) -> Self:
        """From before the first change of a document to after the last."""
        before, after = (
            None if d is None else without_secrets(d) for d in (first.before, last.after)
        )
        return cls(kind=first.kind, id=first.id, before=before, after=after)


class DiffView(BaseModel):
    object: Literal["policy.diff"] = "policy.diff"
    from_version: int
    to_version: int
    changes: list[ChangeView]


class SettingsPatch(Body):
    """Null: what the model or the context has to say."""

    default_max_tokens: Count | None = None
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    request_timeout_s: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] | None = None
    log_privacy: LogPrivacy = UNSET
    retention_days: Annotated[int, Field(ge=1, le=3650)] = UNSET
    on_redis_down: OnRedisDown = UNSET
    allowance_requests_per_minute: Count = UNSET
    warn_at_percent: Percents = UNSET
    adapter_rules: AdapterRules = UNSET
    guardrails: PolicyId = UNSET
    cache: CacheMode = UNSET
    cache_scope: CacheScope = UNSET
    cache_ttl_s: Annotated[int, Field(ge=1, le=LONGEST_TTL_S)] = UNSET
    cache_max_bytes: Annotated[int, Field(ge=1024, le=8 << 20)] = UNSET
    cache_sampled: bool = UNSET


class SettingsView(View):
    """`version` is the one that changed them last; 0 while all are at their defaults."""

    object: Literal["policy.settings"] = "policy.settings"
    version: int = 0
    default_max_tokens: int | None
    max_tokens: int | None
    temperature: float | None
    request_timeout_s: float | None
    log_privacy: LogPrivacy
    retention_days: int
    on_redis_down: OnRedisDown
    allowance_requests_per_minute: int
    warn_at_percent: list[int]
    adapter_rules: list[AdapterRule]
    guardrails: str
    cache: CacheMode
    cache_scope: CacheScope
    cache_ttl_s: int
    cache_max_bytes: int
    cache_sampled: bool

    def seen_by(self, caller: Principal) -> Self:
        """Without what is said of other tenants and projects than the caller's."""
        rules = [rule for rule in self.adapter_rules if is_in_sight_of(rule, caller)]
        return self.model_copy(update={"adapter_rules": rules})


class Rollback(Body):
    """The version whose settings are to be put back."""

    version: Annotated[int, Field(ge=0, le=LARGEST)]
