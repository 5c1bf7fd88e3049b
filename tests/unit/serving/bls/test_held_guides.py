"""Every form of an answer becomes a grammar that all engines read, once, or is refused."""

import json

import pytest

from serving.bls.structured_output import MAX_CHOICES, held
from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest
from serving.engines.grammar import PROBE
from serving.engines.openvino import GuideCompiler


@pytest.fixture(scope="module")
def compiler():
    return GuideCompiler(PROBE)


@pytest.mark.parametrize(
    "guide",
    [
        Guide("json"),
        Guide("json_schema", '{"type": "array", "items": {"$ref": "#"}}'),
        Guide("strict_json_schema", '{"type": "object", "additionalProperties": false}'),
        Guide("regex", r"\d+(\.\d{1,3})?"),
        Guide("choice", json.dumps(["a", 'b"', "é0"])),
    ],
)
def test_a_form_becomes_a_grammar_that_compiles(compiler, guide):
    made = held(guide)
    assert made.kind == "ebnf_grammar"
    assert compiler.compile(made) is None
    assert held(Guide(guide.kind, guide.text)) is made


@pytest.mark.parametrize("guide", [Guide("ebnf_grammar", 'root ::= "a"'), Guide("yaml", "a: 1")])
def test_what_the_engine_reads_itself_is_left_to_it(guide):
    assert held(guide) is guide


@pytest.mark.parametrize(
    "guide",
    [
        Guide("json_schema", "{"),
        Guide("json_schema", "[" * 100_000),
        Guide("choice", "[1]"),
        Guide("choice", '[""]'),
        Guide("choice", "[]"),
        Guide("choice", json.dumps(["a"] * (MAX_CHOICES + 1))),
        Guide("choice", json.dumps(["a" * 1000] * 100)),
        Guide("regex", "(?=a)"),
        Guide("regex", "a{99999}"),
    ],
)
def test_what_makes_no_grammar_is_refused(guide):
    with pytest.raises(InvalidRequest) as refused:
        held(guide)
    assert refused.value.param == "response_format"
