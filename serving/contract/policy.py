"""The policy snapshot: what the control plane publishes and the gateway enforces from memory.

A snapshot is a set of documents, each known by its kind and id, at a version. Versions of one epoch
count up by one; a new epoch (another database) starts anew, and what was known before is void. A
delta takes a snapshot from one version to the next. On the wire every document is a JSON object.

Ids of tenants and projects are slugs that people choose and that never change; a project is
`<tenant>/<project>` wherever it stands alone. Money is counted in nanodollars (1e-9 USD), so that
every price a token and every sum is a whole number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from serving.contract.cache import CacheMode, CacheScope
from serving.contract.guardrails import GuardrailPolicy
from serving.contract.permissions import Role


class LogPrivacy(StrEnum):
    """What is kept of prompts and answers, from nothing to everything.

    `none` keeps no row a person could be found by, `metadata` sizes and outcomes, `redacted` the
    texts with what the redactor finds masked, `full` the texts.
    """

    NONE = "none"
    METADATA = "metadata"
    REDACTED = "redacted"
    FULL = "full"

    @property
    def keeps_texts(self) -> bool:
        return self in (LogPrivacy.REDACTED, LogPrivacy.FULL)


class OnRedisDown(StrEnum):
    """What the gateway does with requests whose quota it cannot ask for."""

    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one scope may use. None: as much as it likes.

    A rate refills evenly; its bucket holds `burst_s` seconds' worth, and never less than one.
    Days are any 24 hours, refilled evenly too; budgets are of a calendar month in UTC.
    """

    requests_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    tokens_per_day: int | None = None
    budget_nusd: int | None = None
    soft_budget_nusd: int | None = None
    burst_s: int = 60


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Price:
    """Nanodollars per token; 1 is a tenth of a cent for a million tokens."""

    input_nusd: int = 0
    cached_input_nusd: int = 0
    output_nusd: int = 0


FREE = Price()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A team. `model_limits` bound what it may use of one model.

    `guardrails` is the id of the policy that its texts are checked by; None: the settings' own.
    """

    id: str
    name: str
    is_active: bool = True
    limits: Limits = NO_LIMITS
    model_limits: Mapping[str, Limits] = field(default_factory=dict)
    guardrails: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A piece of work of a tenant; `id` is `<tenant>/<slug>`. None: what the settings say, and for
    `guardrails` its tenant before them.
    """

    id: str
    tenant: str
    name: str
    is_active: bool = True
    limits: Limits = NO_LIMITS
    log_privacy: LogPrivacy | None = None
    retention_days: int | None = None
    guardrails: str | None = None
    cache: CacheMode | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret that opens a key: its keyed hash in hex, and when it stops to (Unix time)."""

    digest: str
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. During a rotation it has two secrets.

    Without a project it cannot generate, without a tenant it is of the whole organisation. None for
    `scopes`, `models`, `adapters`, `classes`, `tools` or `cidrs`: all of them.
    """

    id: str
    name: str
    role: Role
    secrets: tuple[Secret, ...]
    tenant: str | None = None
    project: str | None = None
    is_active: bool = True
    expires_at: float | None = None
    limits: Limits = NO_LIMITS
    scopes: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    adapters: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    cidrs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person, known by what an issuer calls them (`sub`)."""

    id: str
    issuer: str
    subject: str
    email: str
    role: Role
    tenant: str | None = None
    project: str | None = None
    is_active: bool = True
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Issuer:
    """An OpenID provider whose tokens are taken; `id` is its `iss`.

    A claim that is named says tenant, project or role of those who are no `User` here; `roles` maps
    what the provider calls roles to ours, and nothing it does not map is ever granted. `tenant`
    binds the issuer: its tokens and users can only be of that tenant.
    """

    id: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    tenant: str | None = None
    tenant_claim: str | None = None
    project_claim: str | None = None
    roles_claim: str | None = None
    roles: Mapping[str, Role] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """What a model costs, and its limits over all tenants together (approximate)."""

    id: str
    price: Price = FREE
    adapter_prices: Mapping[str, Price] = field(default_factory=dict)
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class AdapterRule:
    """Requests for `model` that say nothing of adapters get this one. The first rule that holds
    counts; one whose adapter the caller may not use, or the model does not have, does not hold.

    None for `tenant` or `project`: whichever it is. `contains`: the last message of the user, or
    the prompt, has one of these phrases, in capitals or not; none: whatever it says.
    """

    model: str
    adapter: str
    tenant: str | None = None
    project: str | None = None
    contains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator changes at run time; there is one, its id is `settings`.

    None for `default_max_tokens`: what the context has left. None for `temperature`: the model's.
    `cache` is which answers are given again, to whom in `cache_scope`, for `cache_ttl_s`, unless
    they take more than `cache_max_bytes`; where `cache_sampled`, also those that could have been
    others.
    """

    id: str = "settings"
    default_max_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    request_timeout_s: float | None = None
    log_privacy: LogPrivacy = LogPrivacy.METADATA
    retention_days: int = 30
    on_redis_down: OnRedisDown = OnRedisDown.REFUSE
    allowance_requests_per_minute: int = 60
    warn_at_percent: tuple[int, ...] = (80, 100)
    adapter_rules: tuple[AdapterRule, ...] = ()
    guardrails: str = "default"
    cache: CacheMode = CacheMode.OFF
    cache_scope: CacheScope = CacheScope.PROJECT
    cache_ttl_s: int = 3600
    cache_max_bytes: int = 262_144
    cache_sampled: bool = False


Document = Tenant | Project | Key | User | Issuer | Model | Settings | GuardrailPolicy

KINDS: dict[str, type[Document]] = {
    "tenant": Tenant,
    "project": Project,
    "key": Key,
    "user": User,
    "issuer": Issuer,
    "model": Model,
    "settings": Settings,
    "guardrails": GuardrailPolicy,
}


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Compare numbers within an epoch only."""

    epoch: str
    number: int


@dataclass(frozen=True, slots=True)
class Change:
    """A document put in place of an older one; `document` is its JSON, None when it is removed."""

    kind: str
    id: str
    document: bytes | None


@dataclass(frozen=True, slots=True)
class Delta:
    """All that changed with `version`, which follows `version.number - 1`."""

    version: Version
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every document at `version`."""

    version: Version
    documents: tuple[Change, ...]
