"""Nothing that a check is given goes unheard: what is not of its kind is named."""

from dataclasses import fields

import pytest

from serving.contract.guardrails import Action, ArgumentRule, Check, CheckKind, Stage
from serving.guardrails.check_fields import EVERY, OWN, flaw, rule_flaw
from serving.guardrails.default_policy import BUILT_IN

SAID = {
    "threshold": 0.5,
    "phrases": ("a",),
    "patterns": ("b",),
    "kinds": ("email",),
    "max_characters": 9,
    "tools": ("t",),
    "only_tainted": True,
    "arguments": (ArgumentRule("a", inside="/"),),
    "max_calls": 1,
    "calls_per_minute": 1,
}


def a_check(kind, **said):
    needed = {name: SAID[name] for name in ("phrases", "max_characters") if name in OWN[kind]}
    return Check(kind, Action.BLOCK, **needed | said)


def test_every_field_is_of_every_kind_or_of_some():
    assert EVERY | set(SAID) == {field.name for field in fields(Check)}
    assert set(OWN) == set(CheckKind)


@pytest.mark.parametrize("kind", CheckKind)
def test_a_field_of_another_kind_is_named(kind):
    assert flaw(a_check(kind)) is None
    for name, value in SAID.items():
        if name == "kinds":
            continue
        found = flaw(a_check(kind, **{name: value}))
        assert (found is None) == (name in OWN[kind]), name
        assert found is None or f"'{name}'" in found


def test_kinds_of_data_are_those_that_are_looked_for():
    assert flaw(a_check(CheckKind.PERSONAL, kinds=("email", "iban"))) is None
    assert flaw(a_check(CheckKind.SECRETS, kinds=("api_key",))) is None
    assert "'email' of 'secrets'" in flaw(a_check(CheckKind.SECRETS, kinds=("email",)))


def test_a_check_that_could_find_nothing_is_told():
    for kind in (CheckKind.WORDS, CheckKind.TOPICS, CheckKind.SIZE):
        assert "needs" in flaw(Check(kind, Action.BLOCK))


def test_a_stage_where_a_kind_never_looks_is_told():
    assert "'input'" in flaw(a_check(CheckKind.TOOL, stages=(Stage.INPUT,)))
    assert "'tool_call'" in flaw(a_check(CheckKind.TOPICS, stages=(Stage.TOOL_CALL,)))
    assert flaw(a_check(CheckKind.WORDS, stages=(Stage.TOOL_CALL,))) is None


def test_a_rule_of_an_argument_asks_for_something():
    assert "asks for nothing" in rule_flaw(ArgumentRule("a"))
    assert "'minimum'" in rule_flaw(ArgumentRule("a", minimum=2, maximum=1))
    assert rule_flaw(ArgumentRule("a", minimum=0)) is None
    assert rule_flaw(ArgumentRule("a", is_read_only_sql=True)) is None


def test_the_built_in_policies_are_sound():
    checks = [check for policy in BUILT_IN.values() for check in policy.checks]
    assert all(flaw(check) is None for check in checks)
