"""Whether no value can follow two schemas at once, so that one of them is exactly one of them."""

import json
from typing import Any

from serving.text.schema_objects import required_of
from serving.text.schema_references import target

_MAX_STEPS = 8  # from one reference to the next
_MAX_NAMES = 32
MAX_ALTERNATIVES = 64
_ANY = frozenset(("object", "array", "string", "number", "boolean", "null"))


def fits_type(value: Any, kinds: Any) -> bool:
    """Whether a constant is of a type, or of one of several; None: of any."""
    if kinds is None:
        return True
    if isinstance(kinds, list):
        return any(fits_type(value, kind) for kind in kinds)
    if kinds == "integer":
        return _type_of(value) == "number" and value == int(value)
    return bool(_type_of(value) == kinds)


def are_apart(root: Any, schemas: list[Any]) -> bool:
    """Every two of them. `root` is where their references point into.

    False also where it would take long to find out.
    """
    if len(schemas) > MAX_ALTERNATIVES:
        return False
    pairs = ((a, b) for place, a in enumerate(schemas) for b in schemas[:place])
    return all(_apart(root, a, b) for a, b in pairs)


def _apart(root: Any, one: Any, other: Any, *, is_property: bool = False) -> bool:
    one, other = _resolved(root, one), _resolved(root, other)
    if one is None or other is None:
        return False
    if not _types(one) & _types(other):
        return True
    constants, others = _constants(one), _constants(other)
    if constants is not None and others is not None:
        return not constants & others
    if is_property or _types(one) != {"object"} or _types(other) != {"object"}:
        return False
    both = sorted(set(required_of(one)) & set(required_of(other)))[:_MAX_NAMES]
    here, there = one.get("properties", {}), other.get("properties", {})
    shared = (name for name in both if name in here and name in there)
    return any(_apart(root, here[name], there[name], is_property=True) for name in shared)


def _resolved(root: Any, schema: Any) -> dict[str, Any] | None:
    for _ in range(_MAX_STEPS):
        if not isinstance(schema, dict):
            return None
        if "$ref" not in schema:
            return schema
        found = target(root, str(schema["$ref"]))
        schema = None if found is None else found.schema
    return None


def _types(schema: dict[str, Any]) -> frozenset[str]:
    constants = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(constants, list):
        return frozenset(map(_type_of, constants))
    kinds = schema.get("type")
    named = kinds if isinstance(kinds, list) else [kinds]
    known = frozenset("number" if kind == "integer" else str(kind) for kind in named)
    return known if kinds is not None and known <= _ANY else _ANY


def _constants(schema: dict[str, Any]) -> frozenset[str] | None:
    """As JSON, in which 1 and 1.0 are the same."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if not isinstance(values, list):
        return None
    return frozenset(json.dumps(_plain(value), sort_keys=True) for value in values)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"
