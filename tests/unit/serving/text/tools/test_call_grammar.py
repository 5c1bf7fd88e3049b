"""A forced call follows what the grammar can hold of its schema; the real compiler takes them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.engines.grammar import PROBE
from serving.engines.openvino import GuideCompiler
from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.llama3 import LLAMA3

SCALARS = st.sampled_from(["string", "integer", "number", "boolean", "null"])
NAMES = st.text(st.sampled_from('ab"\\é\n]'), min_size=1, max_size=4)
SCHEMAS = st.recursive(
    st.fixed_dictionaries({"type": SCALARS})
    | st.just({})
    | st.fixed_dictionaries({"enum": st.lists(NAMES | st.none() | st.integers(), min_size=1)})
    | st.fixed_dictionaries({"type": st.lists(SCALARS, min_size=1, max_size=3)}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.builds(
            lambda properties, count: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[:count],
            },
            st.dictionaries(NAMES, inner, max_size=3),
            st.integers(0, 2),
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def compiler():
    return GuideCompiler(PROBE)


def tool(parameters, name="get"):
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, SCHEMAS, max_size=3), NAMES)
def test_every_schema_makes_a_grammar_that_compiles(compiler, properties, name):
    parameters = {"type": "object", "properties": properties}
    for family in (JSON_TAGS, LLAMA3):
        guide = family.guide_of([tool(parameters, name), tool({}, "wait")])
        assert compiler.compile(guide) is None


def rules_of(parameters):
    """The rule of each name; the arguments and their only property `x` with names of their own."""
    lines = LLAMA3.guide_of([tool(parameters)]).text.splitlines()
    return dict(line.split(" ::= ") for line in lines if line)


@pytest.mark.parametrize("parameters", [{}, {"type": "object"}, {"properties": []}])
def test_arguments_without_properties_are_any_object(parameters):
    assert r'"\"parameters\"" gap ":" gap object' in rules_of(parameters)["r0"]


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        ({"type": "string", "pattern": "a(?=b)"}, "string"),
        ({"type": "string", "maxLength": 4}, r'"\"" character{0,4} "\""'),
        ({"type": ["string", "null"]}, "(string | null)"),
        ({"enum": ["a", 1]}, r'("\"a\"" | "1")'),
        ({"$ref": "#/$defs/a"}, "value"),
        ({"enum": []}, "value"),
        (True, "value"),
        ({"type": "array", "items": {}}, '"[" gap (value (gap "," gap value)*)? gap "]"'),
    ],
)
def test_a_schema_is_held_as_far_as_it_goes(schema, rule):
    rules = rules_of({"type": "object", "properties": {"x": schema}, "required": ["x"]})
    pair = next(each for each in rules.values() if each.startswith(r'"\"x\""'))
    name = pair.rsplit(" ", 1)[1]
    assert (rules[name] if name.startswith("r") else name) == rule


def test_a_grammar_does_not_outgrow_its_schema():
    deep = {"type": "string"}
    for _ in range(50):
        deep = {"type": "array", "items": deep}
    for _ in range(6):
        deep = {"type": "object", "properties": {f"p{n}": deep for n in range(4)}}
    wide = {"properties": {f"p{number}": {} for number in range(2000)}}
    assert len(LLAMA3.guide_of([tool(deep)]).text) < 20_000
    assert len(LLAMA3.guide_of([tool(wide)]).text) < 400_000
