"""The official `openai` client's `response_format` and `allowed_tools` against the whole stack."""

from typing import Annotated, Literal

import openai
import pytest
from pydantic import BaseModel, Field

ASKED = {"model": "demo", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 200}


class Place(BaseModel):
    """What is asked for."""

    city: Literal["Oslo", "Rome"]
    days: Annotated[int, Field(ge=0, le=14)] | None


async def test_a_class_is_answered_with_one_of_its_kind(client):
    made = await client.chat.completions.parse(**ASKED, response_format=Place)
    assert isinstance(made.choices[0].message.parsed, Place)


async def test_a_class_is_streamed(client):
    async with client.chat.completions.stream(**ASKED, response_format=Place) as stream:
        async for _ in stream:
            pass
        made = await stream.get_final_completion()
    assert isinstance(made.choices[0].message.parsed, Place)


@pytest.mark.parametrize(
    "more",
    [{"guided_choice": ["yes", "no"]}, {"structured_outputs": {"choice": ["yes", "no"]}}],
)
async def test_a_choice_is_one_of_those(client, more):
    made = await client.chat.completions.create(**ASKED, extra_body=more)
    assert made.choices[0].message.content in ("yes", "no")


async def test_a_keyword_that_would_not_be_held_is_refused_by_name(client):
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(openai.BadRequestError, match="'uniqueItems' at '#'") as refused:
        await client.chat.completions.create(**ASKED, response_format=form)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "response_format")


FUNCTION = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
        "required": ["city"],
    },
}


@pytest.mark.parametrize("mode", ["auto", "required"])
async def test_only_allowed_tools_are_called(client, mode):
    tools = [
        {"type": "function", "function": FUNCTION},
        {"type": "function", "function": {"name": "wait"}},
    ]
    named = [{"type": "function", "function": {"name": "wait"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}
    made = await client.chat.completions.create(**ASKED, tools=tools, tool_choice=choice)
    calls = made.choices[0].message.tool_calls or []
    assert {call.function.name for call in calls} <= {"wait"}
    assert calls or mode == "auto"
