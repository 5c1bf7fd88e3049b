"""Whatever the engine's grammar lets through is valid, whatever the model would have said.

The model is the smallest there is: it knows bytes and likes all of them the same.
"""

import json
import re
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema import validate
from random_schemas import SCHEMAS

from serving.contract.calls import Guide
from serving.engines.engine import Engine
from serving.engines.grammar import PROBE
from serving.engines.messages import EngineSettings
from serving.engines.requests import EngineRequest
from serving.text.schema_characters import Notation
from serving.text.schema_grammar import grammar_of
from serving.text.schema_patterns import PatternError, expression
from serving.text.schema_rules import literal
from serving.text.tokenizer import Tokenizer

END = 257
MOST_TOKENS = 120
TIMES = 8
_keys = count(1)


class Sampler:
    """Texts that a grammar lets through, those that came to an end."""

    def __init__(self):
        self._engine = Engine(EngineSettings(PROBE, 4096, TIMES, 256))
        self._tokenizer = Tokenizer.load(PROBE)

    def texts(self, grammar):
        key = next(_keys)
        guide = Guide("ebnf_grammar", grammar)
        for seed in range(TIMES):
            request = EngineRequest(
                np.zeros(1, np.int64), MOST_TOKENS, end_id=END, guide=guide, top_p=1.0, seed=seed
            )
            self._engine.add((key, seed, 0), request)
        made = [[] for _ in range(TIMES)]
        while not self._engine.is_idle:
            for update in self._engine.step():
                assert update.error is None
                made[update.key[1]] += update.tokens
        ended = (ids for ids in made if ids[-1] == END or len(ids) < MOST_TOKENS)
        return [self._text([token for token in ids if token != END]) for ids in ended]

    def _text(self, ids):
        return b"".join(map(self._tokenizer.token_bytes, ids)).decode()


@pytest.fixture(scope="module")
def sampler():
    return Sampler()


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(SCHEMAS)
def test_what_a_schemas_grammar_makes_is_valid(sampler, schema):
    for text in sampler.texts(grammar_of(schema)):
        validate(json.loads(text), schema)


@pytest.mark.parametrize(
    "bounds",
    [
        {"minimum": 3, "maximum": 120},
        {"minimum": -17, "maximum": 5},
        {"exclusiveMinimum": -1, "exclusiveMaximum": 1},
        {"maximum": -90},
        {"minimum": 999, "maximum": 1000},
        {"exclusiveMinimum": 0.1, "exclusiveMaximum": 1.05},
        {"minimum": -0.5, "maximum": -0.25},
    ],
)
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_numbers_stay_within_their_bounds(sampler, kind, bounds):
    if kind == "integer" and bounds.get("maximum") == -0.25:
        bounds = {"minimum": -0.5, "maximum": 0.5}
    schema = {"type": kind, **bounds}
    texts = sampler.texts(grammar_of(schema))
    assert len(texts) == TIMES
    for text in texts:
        validate(json.loads(text), schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[^a]{3}$", r"^.{3}$", r"^\W\D\S$", r"^[^\w]{2}$", r'^["\\\n]{4}$', r"^a$|^b+?c$",
        r"^(?:ab){2,3}(?<n>c)?$", r"^[\u00e9-\u20ac]{3}$", r"^[a\-z]\x41\/$",
    ],
)  # fmt: skip
def test_strings_match_their_pattern(sampler, pattern):
    texts = sampler.texts(grammar_of({"type": "string", "pattern": pattern}))
    told = re.compile(pattern.replace("(?<n>", "(?P<n>"))
    assert texts
    assert all(told.search(json.loads(text)) for text in texts)


@pytest.mark.parametrize(
    "pattern", ["a(?!b)", "(?i)a", r"(a)\1", r"\p{L}", "a**", "[b-a]", "x{2,1}"]
)
def test_what_no_grammar_holds_is_not_a_pattern_here(pattern):
    with pytest.raises(PatternError, match=r"' at \d"):
        expression(pattern, Notation.TEXT)


@pytest.mark.parametrize("text", ["éa", "\x07b", 'say "x"\\', "ÿ0€a😀a", "\n\t", "\x7f9"])
def test_a_text_comes_out_as_it_went_in(sampler, text):
    assert set(sampler.texts(f"root ::= {literal(text)}\n")) == {text}
    assert {json.loads(made) for made in sampler.texts(grammar_of({"const": text}))} == {text}


def test_other_properties_never_have_the_name_of_one_that_is_known(sampler):
    schema = {
        "type": "object",
        "properties": {"a": {"type": "null"}, "ab": {"type": "null"}},
        "required": ["a"],
        "additionalProperties": {"type": "boolean"},
    }
    grammar = grammar_of(schema).replace("plain*", "[a-c]*")
    texts = sampler.texts(grammar)
    assert texts
    for text in texts:
        validate(json.loads(text), schema)
