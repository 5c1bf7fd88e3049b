"""Calls are found however the text is cut, and what is no call stays text, unchanged."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.llama3 import LLAMA3
from serving.text.tools.mistral import MISTRAL
from serving.text.tools.mistral_args import MISTRAL_ARGS
from serving.text.tools.parser import CallParser
from serving.text.tools.pieces import CallArguments, CallBegun, CallEnded, Content

NAMES = ("get", "wait")
FAMILIES = (JSON_TAGS, LLAMA3, MISTRAL, MISTRAL_ARGS)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
CALLS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.dictionaries(st.text(max_size=4), JSON, max_size=3)),
    min_size=1,
    max_size=3,
)
CUTS = st.lists(st.integers(0, 400), max_size=12)
WORDING = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])
# Parts of every format, so that what comes of them is nearly a call, and now and then one.
SHARDS = st.lists(
    st.sampled_from(
        [
            *("<tool_call>", "</tool_call>", "<tool_", "[TOOL_CALLS]", "<|python_tag|>", "text"),
            *("get", "[ARGS]"),
            *("{", "}", "[", "]", "{}", ";", ",", ":", " ", "\n", '"', "\\", "é", "1", "tru", "1."),
            *('"name"', '"get"', '{"name":"get",', '"arguments"', '"parameters":{'),
            '"arguments":{"a":[1,',
        ]
    ),
    max_size=24,
).map("".join)


def pieces(text, cuts):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def parsed(family, parts, names=NAMES):
    """The content, and each call as [name, arguments, whether it has ended]."""
    parser = CallParser(family.syntax, names)
    said = [piece for part in parts for piece in parser.push(part)] + parser.end()
    content, calls = "", []
    for piece in said:
        match piece:
            case Content(text):
                content += text
            case CallBegun(index, name):
                assert index == len(calls)
                calls.append([name, "", False])
            case CallArguments(index, text):
                assert index == len(calls) - 1
                calls[index][1] += text
            case CallEnded(index):
                calls[index][2] = True
    return content, calls


def written(family, calls, wording):
    if family is MISTRAL_ARGS:
        texts = [(name, json.dumps(values, **wording)) for name, values in calls]
        return "".join(f"[TOOL_CALLS]{name}[ARGS]{text}" for name, text in texts)
    key = "parameters" if family is LLAMA3 else "arguments"
    objects = [json.dumps({"name": name, key: values}, **wording) for name, values in calls]
    if family is JSON_TAGS:
        return "\n".join(f"<tool_call>\n{text}\n</tool_call>" for text in objects)
    if family is LLAMA3:
        return "; ".join(objects)
    return f"[TOOL_CALLS] [{', '.join(objects)}]"


@pytest.mark.parametrize("family", FAMILIES)
@given(calls=CALLS, wording=WORDING, cuts=CUTS)
def test_calls_are_what_was_written_however_they_came(family, calls, wording, cuts):
    content, made = parsed(family, pieces(written(family, calls, wording), cuts))
    assert content == ""
    assert [(name, json.loads(text), ended) for name, text, ended in made] == [
        (name, json.loads(json.dumps(values)), True) for name, values in calls
    ]


@pytest.mark.parametrize("family", FAMILIES)
@given(text=SHARDS, cuts=CUTS)
def test_the_cuts_change_nothing(family, text, cuts):
    assert parsed(family, pieces(text, cuts)) == parsed(family, [text])


@pytest.mark.parametrize("family", FAMILIES)
@given(text=SHARDS, cuts=CUTS)
def test_text_without_a_call_is_content_unchanged(family, text, cuts):
    content, calls = parsed(family, pieces(text, cuts), names=())
    assert (content, calls) == (text, [])


@pytest.mark.parametrize("family", FAMILIES)
@given(text=SHARDS)
def test_only_a_whole_object_ends_a_call(family, text):
    for _, arguments, ended in parsed(family, [text])[1]:
        if ended:
            assert isinstance(json.loads(arguments), dict)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "<tool_call>the weather</tool_call>",
        '<tool_call>["get"]</tool_call>',
        '<tool_call>{"name":"get"',
        '<tool_call>{"name":"get","arguments":7}</tool_call>',
        '<tool_call>{"name":"get","name":"wait","arguments":{}}</tool_call>',
        '<tool_call>{"name":"drop","arguments":{}}</tool_call>',
        '<tool_call>{"tool":"get","arguments":{}}</tool_call>',
        '<tool_call>{"arguments":{"a":1}}</tool_call>',
        "a < b, and <tool_ is no tag\n",
    ],
)
def test_a_call_that_is_none_is_content(text):
    assert parsed(JSON_TAGS, text) == (text, [])


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ('{"name":"get","arguments":{"a":1}', "", [["get", '{"a":1}', False]]),
        ('{"name":"get","arguments":{"a":', "", [["get", '{"a":', False]]),
        ('{"name":"get","arguments":{"a":x}}', "x}}", [["get", '{"a":', False]]),
        ('{"name":"get"}</tool_call>', "", [["get", "{}", True]]),
        ('{"arguments":{"a":1},"name":"get"}', "", [["get", '{"a":1}', True]]),
        ('{"id":"1","name":"get","arguments":{}} and', " and", [["get", "{}", True]]),
        ('{"name":"get"}</tool_', "</tool_", [["get", "{}", True]]),
        ('{"name":"get"}</tool_call>\n done', "\n done", [["get", "{}", True]]),
    ],
)
def test_what_is_left_of_a_call_that_goes_wrong_is_content(text, content, calls):
    assert parsed(JSON_TAGS, f"<tool_call>{text}") == (content, calls)


def test_text_around_calls_is_content():
    call = '<tool_call>{"name": "get", "arguments": {}}</tool_call>'
    content, calls = parsed(JSON_TAGS, f"I look.\n{call}\n{call} Then <tool_call>{call}")
    assert content == "I look.\n Then <tool_call>"
    assert [ended for _, _, ended in calls] == [True, True, True]


def test_a_call_is_told_as_soon_as_its_arguments_begin():
    parser = CallParser(JSON_TAGS.syntax, NAMES)
    assert parser.push('<tool_call>{"name":"get","arguments":') == []
    assert parser.push('{"ci') == [CallBegun(0, "get"), CallArguments(0, '{"ci')]
    assert parser.push('ty":"Os') == [CallArguments(0, 'ty":"Os')]
    assert parser.push('lo"}') == [CallArguments(0, 'lo"}')]
    assert parser.push("}") == [CallEnded(0)]
    assert parser.push("</tool_call>") + parser.end() == []


def test_plain_text_is_not_held_up():
    for family in FAMILIES:
        parser = CallParser(family.syntax, NAMES)
        assert parser.push("the sea ") == [Content("the sea ")]


def test_llama_calls_bare_only_at_the_beginning():
    call = '{"name": "get", "parameters": {}}'
    assert parsed(LLAMA3, f" {call}") == ("", [["get", "{}", True]])
    assert parsed(LLAMA3, f"so: {call}") == (f"so: {call}", [])
    assert parsed(LLAMA3, f"so: <|python_tag|>{call}") == ("so: ", [["get", "{}", True]])
    assert parsed(LLAMA3, '{"answer": 42}') == ('{"answer": 42}', [])
    assert parsed(LLAMA3, "<|python_tag|>print(1)") == ("<|python_tag|>print(1)", [])
