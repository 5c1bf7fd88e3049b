"""The keywords of JSON schemas: what each of them asks of a value."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any, Protocol

Schema = Mapping[str, Any]


class Reads(Protocol):
    """What a keyword needs to look into what is within it."""

    def spend(self, steps: int = 1) -> None: ...
    def fits(self, value: Any, schema: Any) -> bool: ...
    def matches(self, pattern: str, text: str) -> bool: ...
    def key(self, value: Any) -> Any: ...
    def referred(self, reference: str) -> Any: ...


Keyword = Callable[[Reads, Any, Schema, Any], bool]

UNKNOWN = frozenset(
    {
        *("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"),
        *("dependencies", "additionalItems"),
    }
)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and isfinite(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _type(_r: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(_TYPES[name](value) for name in names)


def _enum(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    key = reads.key(value)
    return any(reads.key(entry) == key for entry in wanted)


def _const(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return bool(reads.key(value) == reads.key(wanted))


def _of(kind: Callable[[Any], bool], holds: Callable[[Any, Any], bool]) -> Keyword:
    """A keyword that asks something only of values of one kind."""
    return lambda _r, wanted, _s, value: not kind(value) or holds(value, wanted)


def _is_multiple(value: Any, of: Any) -> bool:
    return isfinite(value) and Decimal(str(value)) % Decimal(str(of)) == 0


def _unique_items(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    if not wanted or not isinstance(value, list):
        return True
    return len({reads.key(entry) for entry in value}) == len(value)


def _pattern(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return not isinstance(value, str) or reads.matches(wanted, value)


def _ref(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return reads.fits(value, reads.referred(wanted))


def _all_of(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return all(reads.fits(value, schema) for schema in wanted)


def _any_of(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return any(reads.fits(value, schema) for schema in wanted)


def _one_of(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return sum(reads.fits(value, schema) for schema in wanted) == 1


def _not(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return not reads.fits(value, wanted)


def _if(reads: Reads, wanted: Any, schema: Schema, value: Any) -> bool:
    name = "then" if reads.fits(value, wanted) else "else"
    return reads.fits(value, schema.get(name, True))


def _items(reads: Reads, wanted: Any, schema: Schema, value: Any) -> bool:
    if not isinstance(value, list):
        return True
    if isinstance(wanted, list):  # as it was before 2020
        return _prefix_items(reads, wanted, schema, value)
    rest = value[len(schema.get("prefixItems", ())) :]
    return all(reads.fits(entry, wanted) for entry in rest)


def _prefix_items(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    if not isinstance(value, list):
        return True
    return all(reads.fits(entry, schema) for entry, schema in zip(value, wanted, strict=False))


def _contains(reads: Reads, wanted: Any, schema: Schema, value: Any) -> bool:
    if not isinstance(value, list):
        return True
    found = sum(reads.fits(entry, wanted) for entry in value)
    return bool(schema.get("minContains", 1) <= found <= schema.get("maxContains", found))


def _properties(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    return all(reads.fits(value[name], inner) for name, inner in wanted.items() if name in value)


def _pattern_properties(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    pairs = ((pattern, name) for pattern in wanted for name in value)
    return all(
        reads.fits(value[name], wanted[pattern])
        for pattern, name in pairs
        if reads.matches(pattern, name)
    )


def _additional_properties(reads: Reads, wanted: Any, schema: Schema, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return all(
        reads.fits(inner, wanted)
        for name, inner in value.items()
        if name not in known and not any(reads.matches(p, name) for p in patterns)
    )


def _property_names(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    return not isinstance(value, dict) or all(reads.fits(name, wanted) for name in value)


def _dependent_required(_r: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    return all(set(names) <= value.keys() for name, names in wanted.items() if name in value)


def _dependent_schemas(reads: Reads, wanted: Any, _s: Schema, value: Any) -> bool:
    if not isinstance(value, dict):
        return True
    return all(reads.fits(value, inner) for name, inner in wanted.items() if name in value)


_STRING, _ARRAY, _OBJECT = (_TYPES[name] for name in ("string", "array", "object"))
KEYWORDS: dict[str, Keyword] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _of(_is_number, lambda value, bound: value >= bound),
    "maximum": _of(_is_number, lambda value, bound: value <= bound),
    "exclusiveMinimum": _of(_is_number, lambda value, bound: value > bound),
    "exclusiveMaximum": _of(_is_number, lambda value, bound: value < bound),
    "multipleOf": _of(_is_number, _is_multiple),
    "minLength": _of(_STRING, lambda value, bound: len(value) >= bound),
    "maxLength": _of(_STRING, lambda value, bound: len(value) <= bound),
    "pattern": _pattern,
    "minItems": _of(_ARRAY, lambda value, bound: len(value) >= bound),
    "maxItems": _of(_ARRAY, lambda value, bound: len(value) <= bound),
    "uniqueItems": _unique_items,
    "items": _items,
    "prefixItems": _prefix_items,
    "contains": _contains,
    "required": _of(_OBJECT, lambda value, names: all(name in value for name in names)),
    "minProperties": _of(_OBJECT, lambda value, bound: len(value) >= bound),
    "maxProperties": _of(_OBJECT, lambda value, bound: len(value) <= bound),
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "propertyNames": _property_names,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
}
