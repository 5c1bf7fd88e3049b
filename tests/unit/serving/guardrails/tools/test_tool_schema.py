"""Values against JSON schemas: as the standard says, and in bounded time."""

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.guardrails.tools.schema import fits

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.5, 1.0, "", "a", "ab", "b1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)
TYPES = st.sampled_from(["string", "number", "integer", "boolean", "null", "array", "object"])
COUNTS = st.integers(0, 3)


def _within(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    many = st.lists(inner, min_size=1, max_size=3)
    names = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "multipleOf": st.sampled_from([1, 2, 0.5]),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": st.sampled_from(["^a", "[0-9]$", "b"]),
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "uniqueItems": st.booleans(),
            "items": inner | st.booleans(),
            "prefixItems": many,
            "contains": inner,
            "minContains": COUNTS,
            "maxContains": COUNTS,
            "required": names,
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
            "properties": named,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "[bc]"]), inner),
            "additionalProperties": inner | st.booleans(),
            "propertyNames": inner,
            "dependentRequired": st.dictionaries(st.sampled_from("abc"), names, max_size=2),
            "dependentSchemas": named,
            "allOf": many,
            "anyOf": many,
            "oneOf": many,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
        },
    )


SCHEMAS = st.recursive(st.booleans() | _within(st.booleans()), _within, max_leaves=8)


@given(SCHEMAS, VALUES)
def test_it_says_what_the_reference_implementation_says(schema: Any, value: Any):
    assert fits(value, schema) == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_references_within_the_schema_are_followed():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/a~1b"}}, "required": ["v"]}
    schema = {"$ref": "#/$defs/a~1b", "$defs": {"a/b": node}}
    assert fits({"v": 1, "next": {"v": 2}}, schema)
    assert not fits({"v": 1, "next": {}}, schema)
    assert fits([[[]]], {"items": {"$ref": "#"}})


def test_tuples_as_they_were_before_2020_are_known():
    assert fits([1, "a"], {"items": [{"type": "integer"}, {"type": "string"}]})
    assert not fits(["a"], {"items": [{"type": "integer"}]})


def test_words_of_nobodys_are_ignored():
    assert fits("x", {"type": "string", "format": "email", "nullable": True, "description": "d"})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/$defs/none"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"unevaluatedProperties": False},
        {"$dynamicRef": "#x"},
        {"type": "text"},
        {"type": 5},
        {"pattern": "(?=a)"},
        {"pattern": "("},
        {"properties": []},
        {"minLength": "1"},
        {"anyOf": 5},
        [],
        5,
        "x",
    ],
)
def test_a_schema_that_cannot_be_read_fits_nothing(schema: Any):
    assert not fits("a", schema) or not fits({"a": 1}, schema)


def test_a_number_is_no_multiple_of_nothing():
    assert not fits(5, {"multipleOf": 0})


def _bomb() -> Any:
    defs: dict[str, Any] = {"d0": {"type": "string"}}
    for n in range(1, 40):
        defs[f"d{n}"] = {"allOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    return {"$ref": "#/$defs/d39", "$defs": defs}


def _deep(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


BOMBS = [
    (_bomb(), "x"),
    ({"anyOf": [{"items": {"$ref": "#"}, "type": "array"}] * 2}, _deep(1, 60)),
    ({"pattern": "^(a+)+$"}, "a" * 100_000 + "!"),
    ({"uniqueItems": True}, [[n, str(n)] for n in range(100_000)]),
    ({"enum": [[n] * 1000 for n in range(1000)]}, [1] * 1000),
    ({"items": {"$ref": "#"}}, _deep(1, 900)),
]


@pytest.mark.parametrize(("schema", "value"), BOMBS)
def test_no_schema_takes_long(schema: Any, value: Any):
    began = time.perf_counter()
    fits(value, schema)
    assert time.perf_counter() - began < 1
