"""Guardrail policies as JSON, both ways, and the reference by which a grant names one."""

import hashlib
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from serving.contract.errors import InvalidRequest
from serving.contract.guardrails import GuardrailPolicy

_ADAPTER = TypeAdapter(GuardrailPolicy)
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Sealed:
    """A policy as it travels. `reference` is `<id>@<digest>`, and says which text is meant."""

    text: str
    reference: str


@lru_cache(maxsize=256)
def sealed(policy: GuardrailPolicy) -> Sealed:
    """Only what is not at its default is told: equal policies have equal texts."""
    data = orjson.dumps(policy, _told, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    return Sealed(data.decode(), f"{policy.id}@{_digest(data)}")


def named(reference: str) -> str:
    """How verdicts name a policy: short, for people."""
    name, _, digest = reference.rpartition("@")
    return f"{name}@{digest[:8]}"


def is_of(text: str, reference: str) -> bool:
    """Whether `text` is the one that `reference` means."""
    return reference.rpartition("@")[2] == _digest(text.encode())


def parsed(text: str | bytes) -> GuardrailPolicy:
    """The policy in JSON `text`. Raises InvalidRequest that names the field."""
    try:
        return _ADAPTER.validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the text"
        raise InvalidRequest(f"no guardrail policy: {where}: {first['msg']}", param=where) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_DIGITS]


def _told(part: Any) -> dict[str, Any]:
    """The fields of a dataclass that say more than their default."""
    own = {f.name: getattr(part, f.name) for f in fields(part)}
    defaults = {f.name: f.default for f in fields(part) if f.default is not MISSING}
    return {name: said for name, said in own.items() if defaults.get(name, MISSING) != said}
