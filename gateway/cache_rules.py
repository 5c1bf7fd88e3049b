"""Whether a request may be answered out of the cache, and with whom it shares answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.ask import Ask
from gateway.stages.grant import Signer
from gateway.stages.tool_runs import guard_of
from serving.contract.cache import CacheMode, CacheScope
from serving.contract.calls import Call, Sampling
from serving.contract.principal import Principal
from serving.contract.tool_runs import NOTHING
from serving.identity.directory import Directory


class Bypass(StrEnum):
    """Why a request goes by the cache though its project has one."""

    NO_STORE = "no_store"  # the client wants it so
    SAMPLED = "sampled"  # another answer could have come, and nobody said that this one will do
    REVERSIBLE = "reversible"  # what is redacted is put back for this caller alone
    TOOL_RUN = "tool_run"  # what may be called depends on calls before
    APPROVALS = "approvals"  # a call may wait for a person, who decides about this one
    MEASURED = "measured"  # it asks how long the engine took
    UNKNOWN_MODEL = "unknown_model"  # nobody says which version of the model would answer
    STORE = "store"  # Redis does not answer, or not soon enough


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What is in force for one project; `scope` names those who share answers."""

    scope: str
    ttl_s: int
    max_bytes: int
    is_sampled: bool


def rules_of(directory: Directory, principal: Principal) -> CacheRules | None:
    """None where the cache is off, or who asks is bound to no project."""
    if principal.tenant is None or principal.project is None:
        return None
    settings, project = directory.settings, directory.project(principal.project)
    own = None if project is None else project.cache
    if (own or settings.cache) is CacheMode.OFF:
        return None
    return CacheRules(
        scope_of(settings.cache_scope, principal.tenant, principal.project),
        settings.cache_ttl_s,
        settings.cache_max_bytes,
        settings.cache_sampled,
    )


def scope_of(scope: CacheScope, tenant: str, project: str) -> str:
    """Each with a mark of its own: no project is ever taken for a tenant."""
    ids = {CacheScope.PROJECT: project, CacheScope.TENANT: tenant, CacheScope.SHARED: ""}
    return f"{scope.value}={ids[scope]}"


def bypass_of(rules: CacheRules, ask: Ask, signer: Signer) -> Bypass | None:
    """Why not; None: it may be answered out of the cache."""
    if not ask.cache.is_kept:
        return Bypass.NO_STORE
    is_allowed = rules.is_sampled or ask.cache.is_allowed
    if not is_allowed and not all(is_deterministic(call.sampling) for call in ask.calls):
        return Bypass.SAMPLED
    if any(call.has_engine_times for call in ask.calls):
        return Bypass.MEASURED
    return _by_guardrails(ask.calls, signer)


def _by_guardrails(calls: Sequence[Call], signer: Signer) -> Bypass | None:
    policy = signer.guardrails.policy
    if policy.is_reversible:
        return Bypass.REVERSIBLE
    if signer.run != NOTHING:
        return Bypass.TOOL_RUN
    has_tools = any(call.tools for call in calls)
    return Bypass.APPROVALS if has_tools and guard_of(policy).can_ask else None


def is_deterministic(sampling: Sampling) -> bool:
    """Whether the same request gets the same answer: greedy, or from a seed of its own."""
    is_greedy = sampling.temperature == 0 or sampling.top_k == 1 or sampling.top_p == 0
    return is_greedy or sampling.seed is not None
