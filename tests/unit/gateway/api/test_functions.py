"""Functions and function calls, the older form of tools, reach the model as tools."""

from typing import Any

import pytest

from gateway.api.chat_schema import chat_ask
from gateway.ask import Ask
from gateway.settings import GatewaySettings
from serving.contract.errors import InvalidRequest
from serving.contract.tools import NamedTool, ToolChoice

SETTINGS = GatewaySettings(api_key="sk")
HI = {"role": "user", "content": "hi"}
GET = {"name": "get", "parameters": {"type": "object"}}


def ask(**body: Any) -> Ask:
    return chat_ask({"model": "m", "messages": [HI], "functions": [GET], **body}, SETTINGS)


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        (None, None),
        ("auto", ToolChoice.AUTO),
        ("none", ToolChoice.NONE),
        ({"name": "get"}, NamedTool("get")),
    ],
)
def test_functions_are_tools_of_which_one_is_called_at_a_time(given: Any, choice: Any) -> None:
    asked = ask(function_call=given)
    assert asked.calls[0].tools == ({"type": "function", "function": GET},)
    assert (asked.calls[0].tool_choice, asked.is_one_call) == (choice, True)


def test_a_result_answers_the_call_before_it() -> None:
    made = {"name": "get", "arguments": "{}"}
    result = {"role": "function", "name": "get", "content": "rain"}
    messages = [HI, {"role": "assistant", "content": None, "function_call": made}, result]
    _, calling, answer = ask(messages=messages).calls[0].messages or ()
    (call,) = calling["tool_calls"]
    assert (call["function"], answer["role"]) == (made, "tool")
    assert answer["tool_call_id"] == call["id"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"functions": {}}, "functions"),
        ({"tools": [{"type": "function", "function": GET}]}, "functions"),
        ({"function_call": "get"}, "function_call"),
        ({"function_call": "auto", "tool_choice": "auto"}, "function_call"),
        (
            {"messages": [HI, {"role": "function", "name": "get", "content": "x"}]},
            "messages[1].tool_call_id",
        ),
    ],
)
def test_functions_that_make_no_sense_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ask(**body)
    assert refused.value.param == param
