"""Which requests may be answered out of the cache, and with whom they share answers."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.ask import Ask
from gateway.cache_rules import Bypass, CacheRules, bypass_of, is_deterministic, rules_of
from gateway.stages.grant import Signer
from gateway.stages.guardrails import InForce
from serving.contract.cache import CacheMode, CacheScope, CacheWish
from serving.contract.calls import Call, Sampling
from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy
from serving.contract.permissions import Role
from serving.contract.policy import Project, Settings, Snapshot, Tenant, Version
from serving.contract.principal import Principal
from serving.contract.tool_runs import ToolRun
from serving.identity.directory import Directory
from serving.identity.documents import change_of

WHO = Principal("key:k", "k", Role.SERVICE, frozenset(), tenant="acme", project="acme/web")
RULES = CacheRules("project=acme/web", 60, 1024, False)
TOOL = {"type": "function", "function": {"name": "send"}}
PLAIN = GuardrailPolicy("p")
ASKS = Check(CheckKind.TOOL, Action.ASK, tools=("send",))


def rules(project: CacheMode | None = None, **settings: Any) -> CacheRules | None:
    documents = (
        Settings(**settings),
        Tenant("acme", "Acme"),
        Project("acme/web", "acme", "Web", cache=project),
    )
    return rules_of(Directory.of(Snapshot(Version("e", 1), tuple(map(change_of, documents)))), WHO)


def test_there_is_none_until_somebody_turns_it_on():
    assert rules() is None
    assert rules(CacheMode.EXACT) is not None
    assert rules(CacheMode.OFF, cache=CacheMode.EXACT) is None
    assert rules(cache=CacheMode.EXACT, cache_ttl_s=7) == CacheRules(
        "project=acme/web", 7, 262_144, False
    )


def test_answers_are_shared_as_far_as_the_policy_says():
    scopes = {
        scope: found.scope
        for scope in CacheScope
        if (found := rules(cache=CacheMode.EXACT, cache_scope=scope))
    }
    assert scopes == {
        CacheScope.PROJECT: "project=acme/web",
        CacheScope.TENANT: "tenant=acme",
        CacheScope.SHARED: "shared=",
    }


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), False),
        (Sampling(temperature=0.7, top_p=0.9), False),
        (Sampling(temperature=0.0), True),
        (Sampling(top_k=1), True),
        (Sampling(top_p=0.0), True),
        (Sampling(temperature=0.7, seed=0), True),
    ],
)
def test_greedy_and_seeded_answers_are_always_the_same(sampling, expected):
    assert is_deterministic(sampling) is expected


def bypass(
    policy: GuardrailPolicy = PLAIN,
    run: ToolRun | None = None,
    wish: CacheWish | None = None,
    rules: CacheRules = RULES,
    **call: Any,
) -> Bypass | None:
    call = {"text": "a", "sampling": Sampling(seed=1)} | call
    ask = Ask("demo", (Call(**call),), cache=wish or CacheWish())
    return bypass_of(rules, ask, Signer(None, WHO, InForce(policy, "p@1", None), run or ToolRun()))


def test_reasons_to_go_by_it():
    sampled: dict[str, Any] = {"sampling": Sampling(temperature=1.0)}
    assert bypass() is None
    assert bypass(wish=CacheWish(is_kept=False)) is Bypass.NO_STORE
    assert bypass(**sampled) is Bypass.SAMPLED
    assert bypass(**sampled, wish=CacheWish(is_allowed=True)) is None
    assert bypass(**sampled, rules=replace(RULES, is_sampled=True)) is None
    assert bypass(has_engine_times=True) is Bypass.MEASURED
    assert bypass(GuardrailPolicy("p", is_reversible=True)) is Bypass.REVERSIBLE
    assert bypass(run=ToolRun(calls_made=1)) is Bypass.TOOL_RUN
    assert bypass(run=ToolRun(is_tainted=True)) is Bypass.TOOL_RUN
    assert bypass(GuardrailPolicy("p", (ASKS,)), tools=(TOOL,)) is Bypass.APPROVALS
    assert bypass(GuardrailPolicy("p", (ASKS,))) is None
