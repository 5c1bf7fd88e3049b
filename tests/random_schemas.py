"""Random JSON schemas of keywords that answers are held to; small, so that answers end."""

from typing import Any

from hypothesis import strategies as st

Schemas = st.SearchStrategy[dict[str, Any]]
NAMES = st.text(st.sampled_from('abé"\\\n]x '), min_size=1, max_size=4)
PATTERNS = ("^[a-c]{2,4}$", r"^\d{3}-[^x\"]?$", "^(ab|c+d?)$", r"^[\w.]{1,3}\\\"$", r"^é.\u00e9$")
FORMATS = ("date", "time", "date-time", "uuid", "ipv4", "duration")
CONSTANTS = st.none() | st.booleans() | st.integers(-99, 999) | NAMES | st.lists(NAMES, max_size=2)


def _with(kind: str, **optional: st.SearchStrategy[Any]) -> Schemas:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=optional)


def _ordered(low: str, high: str, values: st.SearchStrategy[Any]) -> Schemas:
    """Both bounds, either or none, and room between them."""
    both = st.tuples(values, values).map(lambda pair: {low: min(pair), high: max(pair)})
    return both | values.map(lambda value: {low: value}) | values.map(lambda value: {high: value})


CENTS = st.integers(-50_000, 50_000)
DECIMALS = CENTS.map(lambda number: number / 100)
COUNTS = st.integers(0, 4)
BOUNDS = _ordered("minimum", "maximum", st.integers(-1200, 1200)) | _ordered(
    "minimum", "maximum", DECIMALS
)
STRICT = st.tuples(CENTS, st.integers(110, 50_000)).map(
    lambda pair: {
        "exclusiveMinimum": pair[0] / 100,
        "exclusiveMaximum": (pair[0] + pair[1]) / 100,
    }
)
LENGTHS = st.tuples(COUNTS, COUNTS).map(
    lambda pair: {"type": "string", "minLength": min(pair), "maxLength": max(pair)}
)
SCALARS: Schemas = st.one_of(
    LENGTHS,
    st.sampled_from(("boolean", "null", "integer", "number")).map(lambda kind: {"type": kind}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
    st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name}),
    (BOUNDS | STRICT).map(lambda bounds: {"type": "number", **bounds}),
    _ordered("minimum", "maximum", st.integers(-1200, 1200)).map(
        lambda bounds: {"type": "integer", **bounds}
    ),
    STRICT.map(lambda bounds: {"type": "integer", **bounds}),
    CONSTANTS.map(lambda value: {"const": value}),
    st.lists(CONSTANTS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.just({"anyOf": [{"type": ["integer", "null"], "minimum": 3, "maximum": 40}]}),
    st.just({"$ref": "#/$defs/tree"}),
)
TREE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 3},
        "left": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tree"}]},
    },
    "required": ["name", "left"],
    "additionalProperties": False,
}


def _objects(inner: Schemas) -> Schemas:
    def build(properties: dict[str, Any], required: int, more: Any) -> dict[str, Any]:
        names = list(properties)[:required]
        schema = {"type": "object", "properties": properties, "required": names}
        return schema if more is None else {**schema, "additionalProperties": more}

    more = st.none() | st.just(False) | st.just({"type": "boolean"}) | inner
    return st.builds(build, st.dictionaries(NAMES, inner, max_size=3), COUNTS, more)


def _arrays(inner: Schemas) -> Schemas:
    def build(first: list[Any], rest: Any, low: int, more: int) -> dict[str, Any]:
        schema = {"type": "array", "items": rest, "minItems": low, "maxItems": low + more}
        return {**schema, "prefixItems": first} if first else schema

    low, more = st.integers(0, 2), st.integers(0, 2)
    return st.builds(build, st.lists(inner, max_size=2), inner, low, more)


def _nested(inner: Schemas) -> Schemas:
    return st.one_of(
        _objects(inner),
        _arrays(inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
        inner.map(lambda one: {"allOf": [one], "description": "one"}),
        st.just({"oneOf": [{"type": "null"}, {"type": "boolean"}, {"const": "x"}]}),
    )


def _rooted(properties: dict[str, Any]) -> dict[str, Any]:
    """As `strict` wants it."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
        "$defs": {"tree": TREE},
    }


VALUES: Schemas = st.recursive(SCALARS, _nested, max_leaves=6)
SCHEMAS: Schemas = st.dictionaries(NAMES, VALUES, min_size=1, max_size=3).map(_rooted)
