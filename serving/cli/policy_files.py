"""Guardrail policies as files, JSON or TOML: those that people keep, and send to the control plane.

Fields of the policy that the control plane sets itself are left alone.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import orjson

from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import ArgumentRule, Check, GuardrailPolicy
from serving.guardrails.check_fields import flaw, rule_flaw
from serving.guardrails.wire import parsed
from serving.stack.errors import StackError

SUFFIXES = (".json", ".toml")
_SET_BY_THE_PLANE = ("object", "tenant", "created_at")
Json = dict[str, Any]


def is_file(name: str) -> bool:
    return name.endswith(SUFFIXES) or Path(name).is_file()


def read(path: Path) -> Json:
    """What a file says, which need not make sense. Raises StackError."""
    try:
        data = path.read_bytes()
        found = tomllib.loads(data.decode()) if path.suffix == ".toml" else orjson.loads(data)
    except OSError as error:
        raise StackError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise StackError(f"{path} is neither JSON nor TOML: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        raise StackError(f"{path} is no guardrail policy: it has no 'id'")
    return {name: said for name, said in found.items() if name not in _SET_BY_THE_PLANE}


def policy_of(said: Json) -> GuardrailPolicy:
    """The policy; raises StackError that names what is wrong with it."""
    try:
        policy = parsed(orjson.dumps(said))
    except InvalidRequest as error:
        raise StackError(str(error)) from None
    for complaint in (*_unknown(said), *_flaws(policy)):
        raise StackError(f"no guardrail policy: {complaint}")
    return policy


def written(policy: GuardrailPolicy) -> str:
    """As a JSON file: an id, and what is not at its default."""
    return orjson.dumps(_told(policy), option=orjson.OPT_INDENT_2).decode()


def _unknown(said: Json) -> Iterator[str]:
    yield from _strange(said, GuardrailPolicy, "")
    for number, check in enumerate(said.get("checks", ())):
        yield from _strange(check, Check, f"checks[{number}].")
        for place, rule in enumerate(check.get("arguments", ())):
            yield from _strange(rule, ArgumentRule, f"checks[{number}].arguments[{place}].")


def _strange(said: Json, kind: type[Any], where: str) -> Iterator[str]:
    known = {field.name for field in fields(kind)}
    known |= set(_SET_BY_THE_PLANE) if kind is GuardrailPolicy else set()
    return (f"'{where}{name}' is not known" for name in said if name not in known)


def _flaws(policy: GuardrailPolicy) -> Iterator[str]:
    for number, check in enumerate(policy.checks):
        found = (flaw(check), *map(rule_flaw, check.arguments))
        yield from (f"checks[{number}]: {complaint}" for complaint in found if complaint)


def _told(part: Any) -> Any:
    if isinstance(part, tuple):
        return [_told(each) for each in part]
    if not isinstance(part, GuardrailPolicy | Check | ArgumentRule):
        return part
    told = {f.name: (f.default, getattr(part, f.name)) for f in fields(part)}
    return {
        name: _told(said)
        for name, (default, said) in told.items()
        if (default is MISSING or said != default) and name not in _SET_BY_THE_PLANE
    }
