"""A schema is taken where answers can be held to it, or refused with the keyword and its place."""

import time

import pytest

from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.text.schema_check import MAX_DEPTH, check
from serving.text.schema_formats import FORMATS


def ob(**properties):
    return {"type": "object", "properties": properties}


def strict(**properties):
    return {**ob(**properties), "required": list(properties), "additionalProperties": False}


def refusal(schema, *, is_strict=False):
    with pytest.raises(InvalidRequest) as refused:
        check(schema, is_strict=is_strict, param="response_format")
    assert refused.value.param == "response_format"
    return refused.value


TREE = strict(left={"anyOf": [{"type": "null"}, {"$ref": "#"}]})


@pytest.mark.parametrize(
    "schema",
    [
        *({"type": "string", "format": name} for name in FORMATS),
        {"type": "integer", "minimum": -3, "exclusiveMaximum": 12},
        {"type": "number", "minimum": 0.05, "title": "t", "default": 1, "x-more": []},
        {"type": "array", "prefixItems": [True], "items": False, "maxItems": 1},
        {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1},
        {"enum": [1, "a", None], "description": "d"},
        {"type": "string", "const": "é"},
        {"allOf": [{"$ref": "#/$defs/a~1b"}], "$defs": {"a/b": {"type": "null"}}},
        {"oneOf": [{"type": "null"}, {"type": "boolean"}, {"enum": [1, 2]}, {"const": 3}]},
        {"oneOf": [strict(kind={"const": kind}) for kind in "ab"], "discriminator": {}},
        TREE,
        True,
        {},
    ],
)
def test_what_can_be_held_is_taken(schema):
    check(schema, is_strict=False, param="response_format")


@pytest.mark.parametrize(
    "keyword",
    [
        {"multipleOf": 2}, {"uniqueItems": True}, {"contains": {}}, {"not": {}}, {"if": {}},
        {"patternProperties": {}}, {"propertyNames": {}}, {"dependentRequired": {}},
        {"dependentSchemas": {}}, {"unevaluatedProperties": False}, {"unevaluatedItems": False},
        {"$anchor": "a"}, {"$id": "b"}, {"$dynamicRef": "#"}, {"nullable": True}, {"anyword": 1},
        {"format": "regex"}, {"minimum": 1e10}, {"maximum": 0.00001}, {"maxLength": 10_001},
        {"allOf": [{}, {}]}, {"oneOf": [{"type": "string"}, {"type": "string"}]},
        {"$ref": "https://a.test/b"}, {"$ref": "#/$defs/none"}, {"minProperties": 2},
        {"pattern": "(?=a)"}, {"pattern": r"(a)\1"}, {"pattern": r"\bx"},
    ],
)  # fmt: skip
def test_a_keyword_that_would_not_be_held_is_named_with_its_place(keyword):
    (name,) = keyword
    error = refusal(ob(a={"type": "array", "items": keyword}))
    assert isinstance(error, UnsupportedParameter)
    assert f"'{name}' at '#/properties/a/items'" in error.message


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "anyOf": [{}]}, "'type' at '#' cannot be honoured: it cannot be held"),
        ({"type": "string", "pattern": "a", "maxLength": 3}, "'maxLength' at '#'"),
        ({"$ref": "#/$defs/a", "maximum": 3, "$defs": {"a": {}}}, "beside '$ref'"),
        ({**ob(a={}), "maxProperties": 0}, "'maxProperties' at '#'"),
    ],
)
def test_keywords_that_cannot_be_held_together_are_named(schema, words):
    error = refusal(schema)
    assert isinstance(error, UnsupportedParameter)
    assert words in error.message


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ([], "must be an object"),
        (False, "no value can follow it"),
        (ob(a=False), "'#/properties/a': no value"),
        ({"type": "text"}, "'type' at '#': must be of object"),
        ({"type": ["null", "null"]}, "'type' at '#'"),
        ({"properties": []}, "must be an object of schemas"),
        ({"items": []}, "must be an object"),
        ({"anyOf": []}, "must be a list"),
        ({"enum": []}, "must be a list of values"),
        ({"type": "string", "enum": ["a", 1]}, "not of the schema's type"),
        ({"minLength": -1}, "whole number"),
        ({"minimum": "1"}, "must be a number"),
        ({"minimum": 3, "maximum": 2}, "leave nothing"),
        ({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}, "leave nothing"),
        ({"minItems": 3, "maxItems": 2}, "more than the most"),
        ({"prefixItems": [{}], "items": False, "minItems": 2}, "no value"),
        ({**ob(), "required": ["a"], "additionalProperties": False}, "none of 'properties'"),
        ({"$ref": "#"}, "leads to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, "to itself"),
    ],
)
def test_what_is_no_schema_is_refused_by_place(schema, words):
    assert words in refusal(schema).message


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"anyOf": [strict()]}, "must be of type object"),
        (ob(), "'additionalProperties' at '#'"),
        ({**ob(), "additionalProperties": True}, "must say false"),
        ({**strict(a={"type": "null"}), "required": []}, "all properties, also 'a'"),
        (strict(a=ob()), "'additionalProperties' at '#/properties/a'"),
        (strict(a={}), "'type' at '#/properties/a'"),
        ({**strict(), "$defs": {"a": ob()}}, "at '#/$defs/a'"),
    ],
)
def test_the_rules_of_strict_are_kept(schema, words):
    error = refusal(schema, is_strict=True)
    assert not isinstance(error, UnsupportedParameter)
    assert words in error.message
    check(TREE, is_strict=True, param="response_format")


def _deep(depth):
    schema = {"type": "null"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def _doubled(times, inner):
    """Each definition has the next one twice."""
    defs = {f"d{n}": inner([{"$ref": f"#/$defs/d{n + 1}"}] * 2) for n in range(times)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{times}": {"type": "null"}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (_deep(MAX_DEPTH + 1), "nested deeper"),
        (_deep(900), "nested deeper"),
        ({"enum": list(range(1001))}, "values of enum"),
        (ob(**{f"p{n}": {} for n in range(5001)}), "5000 properties"),
        ({"description": "x" * 70_000}, "70018 characters"),
        (_doubled(500, lambda two: {"anyOf": two}), "nested"),
        ({"type": "string", "pattern": "((a{1,99}){1,99}){1,99}"}, "repeats up to"),
        ({"type": "string", "pattern": "(" * 100}, "nested deeper"),
        ({"type": "string", "pattern": "a" * 5000}, "4096"),
    ],
)
def test_a_bomb_is_refused_at_once(schema, words):
    started_s = time.monotonic()
    assert words in refusal(schema).message
    assert time.monotonic() - started_s < 1


@pytest.mark.parametrize(
    "inner",
    [lambda two: {"anyOf": two}, lambda two: {"type": "array", "prefixItems": two, "minItems": 2}],
)
def test_definitions_that_double_cost_no_more_than_they_say(inner):
    started_s = time.monotonic()
    check(_doubled(14, inner), is_strict=False, param="response_format")
    assert time.monotonic() - started_s < 1
