"""Tools, calls and their results are taken as OpenAI's clients send them, or refused by place."""

from typing import Any

import pytest

from gateway.api.chat_schema import chat_ask
from gateway.ask import Ask
from gateway.settings import GatewaySettings
from serving.contract.calls import Call
from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.contract.tools import NamedTool, ToolChoice

SETTINGS = GatewaySettings(api_key="sk")
HI = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
GET = {"type": "function", "function": {"name": "get", "parameters": SCHEMA}}
MADE = {"id": "1", "type": "function", "function": {"name": "get", "arguments": "{}"}}
CALLING = {"role": "assistant", "tool_calls": [MADE]}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "rain"}


def ask(**body: Any) -> Ask:
    return chat_ask({"model": "m", "messages": [HI], **body}, SETTINGS)


def call(**body: Any) -> Call:
    (made,) = ask(**body).calls
    return made


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "get", **fields}}


def test_tools_reach_the_call_as_they_are() -> None:
    described = function(description="Get it", parameters=SCHEMA)
    assert call(tools=[described]).tools == (described,)
    assert call(tools=[function(strict=False, more=1)]).tools == (function(),)
    assert call(tools=[function(strict=True)]).tools == (function(strict=True),)
    assert call(tools=[]).tools is None


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        (None, None),
        ("auto", ToolChoice.AUTO),
        ("none", ToolChoice.NONE),
        ("required", ToolChoice.REQUIRED),
        ({"type": "function", "function": {"name": "get"}}, NamedTool("get")),
    ],
)
def test_the_choice_reaches_the_call(given: Any, choice: Any) -> None:
    assert call(tools=[GET], tool_choice=given).tool_choice == choice


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize("mode", ["auto", "required"])
def test_of_the_tools_only_those_that_are_allowed_reach_the_call(mode: str) -> None:
    wait = {"type": "function", "function": {"name": "wait"}}
    made = call(tools=[GET, wait], tool_choice=allowed(mode, "wait"))
    assert (made.tools, made.tool_choice) == ((wait,), ToolChoice(mode))


@pytest.mark.parametrize(
    "choice", [allowed("auto", "drop"), allowed("none", "get"), allowed("auto")]
)
def test_allowed_tools_that_make_no_sense_are_refused(choice: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        call(tools=[GET], tool_choice=choice)
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize(("given", "is_one"), [(None, False), (True, False), (False, True)])
def test_one_call_at_a_time_may_be_asked_for(given: Any, is_one: bool) -> None:
    assert ask(tools=[GET], parallel_tool_calls=given).is_one_call is is_one


def test_a_conversation_with_calls_reaches_the_template() -> None:
    messages = (HI, CALLING, RESULT)
    empty = {"role": "assistant", "content": "so", "tool_calls": []}
    assert call(messages=[*messages, empty]).messages == (
        HI,
        {**CALLING, "content": ""},
        RESULT,
        {"role": "assistant", "content": "so"},
    )


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        ({}, "tools"),
        (["get"], "tools[0]"),
        ([{"type": "function"}], "tools[0].function"),
        ([{"function": {"name": "get"}}], "tools[0].type"),
        ([GET, function(name="a b")], "tools[1].function.name"),
        ([function(name="x" * 65)], "tools[0].function.name"),
        ([function(parameters=[])], "tools[0].function.parameters"),
        ([function(description=7)], "tools[0].function.description"),
        ([GET, GET], "tools"),
        ([GET] * 129, "tools"),
    ],
)
def test_a_wrong_tool_is_refused_with_its_place(tools: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        call(tools=tools)
    assert refused.value.param == param


@pytest.mark.parametrize("choice", ["get", 7, {"type": "function"}, {"type": "allowed_tools"}])
def test_a_wrong_choice_is_refused(choice: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be auto, none, required or") as refused:
        call(tools=[GET], tool_choice=choice)
    assert refused.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "is custom, which is not"),
    ],
)
def test_what_is_not_supported_says_what_to_do(body: Any, param: str, words: str) -> None:
    with pytest.raises(UnsupportedParameter, match=words) as refused:
        call(**body)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([HI, RESULT], "messages[1].tool_call_id"),
        ([RESULT, CALLING], "messages[0].tool_call_id"),
        ([CALLING, {**RESULT, "tool_call_id": "2"}], "messages[1].tool_call_id"),
        ([CALLING, {"role": "tool", "content": "rain"}], "messages[1]"),
        ([CALLING, {"role": "tool", "tool_call_id": "1"}], "messages[1]"),
        ([{**HI, "tool_calls": [MADE]}], "messages[0]"),
        ([{**CALLING, "tool_calls": [{"id": "1"}]}], "messages[0].tool_calls[0].type"),
        ([{**CALLING, "tool_calls": [{**MADE, "id": ""}]}], "messages[0].tool_calls[0].id"),
        (
            [{**CALLING, "tool_calls": [{**MADE, "function": {"name": "f", "arguments": {}}}]}],
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_calls_and_results_that_do_not_fit_are_refused(messages: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        call(messages=messages)
    assert refused.value.param == param
