"""Answers of the real stack follow what they are asked to look like, whole and streamed."""

import json
import os
import re
from itertools import count

import pytest
from engine_client import connected
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import validate
from random_schemas import SCHEMAS

from serving.contract.calls import Call, FinishReason, Guide, Sampling
from serving.contract.errors import from_wire
from serving.contract.response_format import guide_of
from serving.contract.tools import NamedTool, ToolChoice, joined
from serving.contract.wire import decode_chunk, encode_call, strings

IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
SOME = 500 if IS_FULL else 25
ASKED = ({"role": "user", "content": "Make something up."},)
MOST_TOKENS = 160
_seeds = count(1)


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


async def chunks_of(client, call):
    reply = await client.ask("demo", encode_call(call))
    assert (reply.error, reply.finals) == (None, 1)
    return [decode_chunk(arrays) for arrays in reply.responses]


def asking(*, is_streamed=False, n=1, **fields):
    sampling = Sampling(temperature=1.0, max_tokens=MOST_TOKENS, seed=next(_seeds))
    return Call(messages=ASKED, sampling=sampling, is_streamed=is_streamed, n=n, **fields)


def texts_of(chunks):
    """Of the sequences that came to an end by themselves."""
    ended = {c.index for c in chunks if c.finish_reason is FinishReason.STOP}
    return ["".join(c.text for c in chunks if c.index == index) for index in sorted(ended)]


async def test_every_finished_answer_follows_its_schema(stack):
    """Half of them streamed; and the arguments of as many forced calls."""
    ended = {"answers": 0, "calls": 0}
    async with connected(stack) as client:
        for number, schema in enumerate(random_schemas()):
            is_streamed = number % 2 == 0
            guide = Guide("json_schema", json.dumps(schema))
            chunks = await chunks_of(client, asking(guide=guide, is_streamed=is_streamed, n=2))
            for text in texts_of(chunks):
                validate(json.loads(text), schema)
                ended["answers"] += 1
            tool = {"name": "make", "parameters": schema}
            call = asking(
                tools=({"type": "function", "function": tool},),
                tool_choice=NamedTool("make"),
                is_streamed=is_streamed,
            )
            chunks = await chunks_of(client, call)
            if chunks[-1].finish_reason is FinishReason.TOOL_CALLS:
                (made,) = joined(piece for chunk in chunks for piece in chunk.tool_calls)
                validate(json.loads(made.arguments), schema)
                ended["calls"] += 1
    assert ended["answers"] > SOME
    assert ended["calls"] > SOME // 2


def random_schemas():
    made = []

    @settings(
        max_examples=SOME,
        phases=[Phase.generate],
        database=None,
        derandomize=not IS_FULL,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(SCHEMAS)
    def keep(schema):
        made.append(schema)

    keep()
    return made[:SOME]


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ({"type": "choice", "choice": ["yes", "no", "é a"]}, "yes|no|é a"),
        ({"type": "regex", "regex": r"[A-C]{2}-\d{1,3}\.?"}, r"[A-C]{2}-\d{1,3}\.?"),
        ({"type": "grammar", "grammar": 'root ::= "<" [a-c]{3} ">"'}, "<[a-c]{3}>"),
        ({"type": "json_object"}, r"(?s)\{.*\}"),
    ],
)
async def test_an_answer_has_the_form_that_is_asked_for(client, form, pattern, is_streamed):
    chunks = await chunks_of(client, asking(guide=guide_of(form), is_streamed=is_streamed, n=4))
    texts = texts_of(chunks)
    assert texts or form["type"] == "json_object"
    assert all(re.fullmatch(pattern, text) for text in texts)


async def test_a_call_that_the_model_makes_by_itself_is_held_to_a_strict_schema(client):
    properties = {"city": {"type": "string", "enum": ["Bergen"]}}
    schema = {"type": "object", "properties": properties, "required": ["city"]}
    tool = {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": schema | {"additionalProperties": False},
        "strict": True,
    }
    messages = ({"role": "user", "content": "What is the weather of Oslo?"},)
    sampling = Sampling(temperature=0.0, max_tokens=80)
    offer = ({"type": "function", "function": tool},)
    for choice in (None, ToolChoice.AUTO):
        call = Call(messages=messages, sampling=sampling, tools=offer, tool_choice=choice)
        chunks = await chunks_of(client, call)
        (made,) = joined(piece for chunk in chunks for piece in chunk.tool_calls)
        assert json.loads(made.arguments) == {"city": "Bergen"}


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("json_schema", '{"type": "array", "uniqueItems": true}', "'uniqueItems' at '#'"),
        ("strict_json_schema", '{"type": "object"}', "'additionalProperties' at '#'"),
        ("regex", "((a{1,99}){1,99}){1,99}", "repeats up to"),
        ("regex", "(a", "not closed"),
        ("choice", "[]", "1 to 1000"),
        ("ebnf_grammar", "root ::= ", "cannot be compiled"),
    ],
)
async def test_what_cannot_be_held_is_refused(client, kind, text, words):
    arrays = encode_call(Call(messages=ASKED))
    arrays |= {
        "guided_decoding_guide_type": strings([kind]),
        "guided_decoding_guide": strings([text]),
    }
    reply = await client.ask("demo", arrays)
    error = from_wire(reply.error)
    assert error.status == 400
    assert words in error.message
