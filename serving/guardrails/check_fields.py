"""What a check may say, by its kind: nothing that it is given goes unheard. Pure."""

from dataclasses import MISSING, fields

from serving.contract.guardrails import MEANING, OF_CALLS, ArgumentRule, Check, CheckKind, Stage
from serving.guardrails import personal, secrets

EVERY = frozenset({"kind", "action", "stages", "name"})
_CALLS = ("tools", "only_tainted")
OWN: dict[CheckKind, tuple[str, ...]] = {
    CheckKind.INJECTION: ("threshold",),
    CheckKind.CLASSIFIER: ("threshold",),
    CheckKind.PERSONAL: ("kinds",),
    CheckKind.SECRETS: ("kinds",),
    CheckKind.WORDS: ("phrases", "patterns"),
    CheckKind.TOPICS: ("phrases", "threshold"),
    CheckKind.SIZE: ("max_characters",),
    CheckKind.TOOL: _CALLS,
    CheckKind.TOOL_ARGUMENTS: (*_CALLS, "arguments"),
    CheckKind.TOOL_CALLS: (*_CALLS, "max_calls", "calls_per_minute"),
}
# One of these has to be there: without it the check could find nothing.
_NEEDED: dict[CheckKind, tuple[str, ...]] = {
    CheckKind.WORDS: ("phrases", "patterns"),
    CheckKind.TOPICS: ("phrases",),
    CheckKind.SIZE: ("max_characters",),
}
_DATA = {CheckKind.PERSONAL: personal.KINDS, CheckKind.SECRETS: secrets.KINDS}
_DEFAULTS = {field.name: field.default for field in fields(Check) if field.default is not MISSING}


def flaw(check: Check) -> str | None:
    """What is wrong with `check`, in words that name the field; None: nothing."""
    return _foreign(check) or _lacking(check) or _out_of_place(check) or _unknown_data(check)


def rule_flaw(rule: ArgumentRule) -> str | None:
    """The same for a rule of an argument."""
    bounds = (rule.minimum, rule.maximum)
    is_said = (rule.inside, rule.hosts, *bounds) != (None,) * 4 or rule.is_read_only_sql
    if not is_said:
        return f"the rule of argument '{rule.argument}' asks for nothing; say what it has to be"
    if None not in bounds and bounds[0] > bounds[1]:  # type: ignore[operator]
        return f"'minimum' of argument '{rule.argument}' is more than its 'maximum'"
    return None


def _foreign(check: Check) -> str | None:
    own = EVERY.union(OWN[check.kind])
    for name, default in _DEFAULTS.items():
        if name not in own and getattr(check, name) != default:
            theirs = ", ".join(OWN[check.kind])
            return f"'{name}' does not belong to a check of kind '{check.kind}'; it has {theirs}"
    return None


def _lacking(check: Check) -> str | None:
    needed = _NEEDED.get(check.kind, ())
    if not needed or any(getattr(check, name) for name in needed):
        return None
    names = " or ".join(f"'{name}'" for name in needed)
    return f"a check of kind '{check.kind}' needs {names}"


def _out_of_place(check: Check) -> str | None:
    """Calls are made at one stage only, and checks by meaning read no calls."""
    for stage in check.stages:
        is_call = stage is Stage.TOOL_CALL
        if (check.kind in OF_CALLS and not is_call) or (check.kind in MEANING and is_call):
            return f"'stages' has '{stage}', where a check of kind '{check.kind}' never looks"
    return None


def _unknown_data(check: Check) -> str | None:
    known = _DATA.get(check.kind, ())
    for name in check.kinds:
        if name not in known:
            return f"'kinds' has no '{name}' of '{check.kind}'; there are {', '.join(known)}"
    return None
