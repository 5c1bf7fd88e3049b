"""The model is told of the tools it may call, and made to call one, or the request is refused."""

import time
from dataclasses import replace

import pytest
from tool_language import GET, HELLO, THINKING, WAIT, speaking, tool, tool_template

from serving.bls.language import Language
from serving.bls.tools import offered
from serving.contract.calls import Call, Guide
from serving.contract.errors import Forbidden, InvalidRequest, UnsupportedParameter
from serving.contract.grant import Grant, anonymous
from serving.contract.tools import NamedTool, ToolChoice
from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.llama3 import LLAMA3
from serving.text.tools.mistral import MISTRAL

ANYBODY = anonymous("r", "m")
TOOLS = {"get": GET, "wait": WAIT}
ASKED = Call(messages=HELLO, tools=(GET, WAIT))


@pytest.fixture(scope="module")
def plain(demo_model):
    return replace(Language.load(demo_model), tools=None)


@pytest.fixture(scope="module")
def language(plain):
    return speaking(plain, tool_template())


def text_of(language, call):
    return language.tokenizer._tokenizer.decode(
        list(language.prompt(call).ids), skip_special_tokens=False
    )


def grant_of(tools):
    return Grant("r", "m", "team", expires_at=time.time() + 30, tools=tools)


@pytest.mark.parametrize("choice", [None, ToolChoice.AUTO])
def test_tools_stand_in_the_prompt(language, choice):
    call = offered(language, replace(ASKED, tool_choice=choice), ANYBODY)
    assert '{"name":"get","description":"get it","parameters":{"city":"string"}}' in text_of(
        language, call
    )
    assert call.guide is None


def test_none_hides_the_tools(language, plain):
    for each in (language, plain):
        call = offered(each, replace(ASKED, tool_choice=ToolChoice.NONE), ANYBODY)
        assert each.prompt(call) == each.prompt(Call(messages=HELLO))
        assert each.reading(call, each.prompt(call)) is None


def test_results_of_earlier_calls_stand_in_the_prompt(language):
    made = {"id": "1", "type": "function", "function": {"name": "get", "arguments": '{"city":"é"}'}}
    messages = (
        *HELLO,
        {"role": "assistant", "content": "", "tool_calls": [made]},
        {"role": "tool", "content": "rain", "tool_call_id": "1"},
    )
    text = text_of(language, replace(ASKED, messages=messages))
    assert '<tool_call>{"name":"get","arguments":{"city":"é"}}</tool_call><|im_end|>' in text
    assert "<|im_start|>tool\nrain<|im_end|>" in text


@pytest.mark.parametrize(
    ("arguments", "text"), [("", "{}"), ("[1]", "[1]"), ("{no", "{no"), ('{"a": 1}', '{"a":1}')]
)
def test_arguments_that_are_no_object_stay_as_they_are(language, arguments, text):
    made = {"id": "1", "type": "function", "function": {"name": "get", "arguments": arguments}}
    messages = (*HELLO, {"role": "assistant", "content": "", "tool_calls": [made]})
    assert f'"arguments":{text}}}</tool_call>' in text_of(language, Call(messages=messages))


@pytest.mark.parametrize(
    ("choice", "names"), [(ToolChoice.REQUIRED, ["get", "wait"]), (NamedTool("wait"), ["wait"])]
)
def test_a_call_is_forced_by_a_grammar(language, choice, names):
    for family, key in ((JSON_TAGS, "arguments"), (LLAMA3, "parameters")):
        each = replace(language, tools=family)
        call = offered(each, replace(ASKED, tool_choice=choice), ANYBODY)
        assert call.guide == family.guide_of([TOOLS[name] for name in names])
        assert call.guide.kind == "ebnf_grammar"
        assert call.guide.text.count(key) == len(names)
        assert "get" in text_of(each, call)


@pytest.mark.parametrize(
    ("call", "kind", "param"),
    [
        (Call(messages=HELLO, tool_choice=ToolChoice.REQUIRED), InvalidRequest, "tool_choice"),
        (Call(messages=HELLO, tool_choice=NamedTool("get")), InvalidRequest, "tool_choice"),
        (replace(ASKED, tool_choice=NamedTool("drop")), InvalidRequest, "tool_choice"),
        (Call(text="p", tools=(GET,)), InvalidRequest, "tools"),
        (replace(ASKED, guide=Guide("json")), UnsupportedParameter, "tools"),
    ],
)
def test_what_makes_no_sense_is_refused(language, call, kind, param):
    with pytest.raises(kind) as refused:
        offered(language, call, ANYBODY)
    assert refused.value.param == param


def test_a_model_that_is_not_told_of_tools_takes_none(plain):
    with pytest.raises(UnsupportedParameter, match="this model takes no tools") as refused:
        offered(plain, ASKED, ANYBODY)
    assert refused.value.param == "tools"
    assert offered(plain, Call(messages=HELLO), ANYBODY) == Call(messages=HELLO)


def test_a_mark_that_is_a_special_token_cannot_be_forced(language):
    mistral = replace(language, tools=MISTRAL)
    with pytest.raises(UnsupportedParameter, match=r"'\[TOOL_CALLS\]', which no grammar"):
        offered(mistral, replace(ASKED, tool_choice=ToolChoice.REQUIRED), ANYBODY)
    assert offered(mistral, ASKED, ANYBODY) == ASKED


def test_a_grammar_that_no_engine_would_read_is_refused(language):
    wide = tool("get", **{f"property_{number}": {"type": "string"} for number in range(1000)})
    asked = Call(messages=HELLO, tools=(wide,), tool_choice=ToolChoice.REQUIRED)
    with pytest.raises(UnsupportedParameter, match="it can have 65536") as refused:
        offered(language, asked, ANYBODY)
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize("choice", list(ToolChoice))
def test_a_tool_that_the_grant_does_not_have_is_refused_by_name(language, choice):
    call = replace(ASKED, grant="signed", tool_choice=choice)
    with pytest.raises(Forbidden, match="the tool 'wait' is not one") as refused:
        offered(language, call, grant_of(("get",)))
    assert refused.value.param == "tools"
    with pytest.raises(Forbidden, match="the tool 'get'"):
        offered(language, call, grant_of(()))


@pytest.mark.parametrize("tools", [None, ("get", "wait", "more")])
def test_tools_that_the_grant_has_are_offered(language, tools):
    call = replace(ASKED, grant="signed")
    assert offered(language, call, grant_of(tools)) is call


def test_names_of_any_letters_make_a_grammar(language):
    odd = tool('a"b\\c')
    call = Call(messages=HELLO, tools=(odd,), tool_choice=ToolChoice.REQUIRED)
    assert r'"\"a\\\"b\\\\c\""' in offered(language, call, ANYBODY).guide.text


def test_reasoning_may_begin_in_the_prompt(plain):
    thinking = speaking(plain, THINKING)
    open_prompt = ({"role": "user", "content": "hello <think>\n"},)
    assert thinking.prompt(Call(messages=open_prompt)).is_thinking
    assert not thinking.prompt(Call(messages=HELLO)).is_thinking
    assert not thinking.prompt(Call(messages=open_prompt, guide=Guide("json"))).is_thinking
    assert not thinking.prompt(Call(text="hello <think>\n")).is_thinking
    assert not plain.prompt(Call(messages=open_prompt)).is_thinking


SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def strict(**schema):
    function = {"name": "get", "parameters": SCHEMA | schema, "strict": True}
    return {"type": "function", "function": function}


def test_a_strict_tool_holds_what_the_model_writes_once_it_calls(language):
    call = offered(language, replace(ASKED, tools=(strict(), WAIT)), ANYBODY)
    assert call.guide == JSON_TAGS.text_guide_of([strict(), WAIT])
    assert "strict" not in call.tools[0]["function"]
    assert offered(language, replace(ASKED, tools=(GET,)), ANYBODY).guide is None


def test_the_same_tool_is_held_where_it_must_be_called(language):
    asked = replace(ASKED, tools=(strict(),), tool_choice=NamedTool("get"))
    assert offered(language, asked, ANYBODY).guide == JSON_TAGS.guide_of([strict()])


@pytest.mark.parametrize(
    ("schema", "kind", "words"),
    [
        ({"additionalProperties": True}, InvalidRequest, "'get' is strict, but 'additionalProp"),
        ({"minProperties": 3}, UnsupportedParameter, "'get' is strict, but the schema's keyword"),
    ],
)
def test_a_strict_tool_whose_schema_cannot_be_held_is_refused(language, schema, kind, words):
    with pytest.raises(kind, match=words) as refused:
        offered(language, replace(ASKED, tools=(strict(**schema),)), ANYBODY)
    assert (type(refused.value), refused.value.param) == (kind, "tools")


def test_a_strict_tool_is_refused_where_only_forced_calls_can_be_held(language):
    asked = replace(ASKED, tools=(strict(),))
    others = (replace(language, tools=LLAMA3), replace(language, has_reasoning=True))
    for other in others:
        with pytest.raises(UnsupportedParameter, match="only be held") as refused:
            offered(other, asked, ANYBODY)
        assert refused.value.param == "tools"
        forced = replace(asked, tool_choice=ToolChoice.REQUIRED)
        assert offered(other, forced, ANYBODY).guide is not None


def test_the_form_of_an_answer_becomes_a_grammar(language):
    call = offered(language, Call(messages=HELLO, guide=Guide("json")), ANYBODY)
    assert call.guide.kind == "ebnf_grammar"
