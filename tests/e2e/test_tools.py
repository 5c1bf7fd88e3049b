"""The official `openai` client's tools against the whole stack, on the demo model."""

import json

import openai
import pytest

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
    "required": ["city"],
}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}
WAIT = {"type": "function", "function": {"name": "wait"}}
ASKED = {
    "model": "demo",
    "messages": [{"role": "user", "content": "What is the weather of Oslo?"}],
    "tools": [WEATHER, WAIT],
    "max_tokens": 80,
}
NAMED = {"type": "function", "function": {"name": "weather"}}


async def test_a_named_tool_is_called_whole_and_streamed(client):
    answer = await client.chat.completions.create(**ASKED, tool_choice=NAMED)
    (choice,) = answer.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    (call,) = choice.message.tool_calls
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Oslo", "Rome")

    stream = await client.chat.completions.create(**ASKED, tool_choice=NAMED, stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    pieces = [piece for chunk in chunks for piece in chunk.delta.tool_calls or ()]
    assert (pieces[0].function.name, pieces[0].type) == ("weather", "function")
    assert len(pieces) > 2
    made = json.loads("".join(piece.function.arguments for piece in pieces))
    assert made["city"] in ("Oslo", "Rome")
    assert chunks[-1].finish_reason == "tool_calls"
    assert not any(chunk.delta.content for chunk in chunks)


async def test_the_demo_calls_a_tool_by_itself(client):
    described = {"name": "get_weather", "description": "Get the weather of a city"}
    tool = {"type": "function", "function": described | {"parameters": CITY}}
    asked = ASKED | {"tools": [tool], "temperature": 0}
    (choice,) = (await client.chat.completions.create(**asked)).choices
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert json.loads(call.function.arguments) == {"city": "Oslo"}


async def test_some_tool_is_called_where_one_is_required(client):
    answer = await client.chat.completions.create(**ASKED, tool_choice="required")
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name in ("weather", "wait")


async def test_a_conversation_goes_on_with_the_result(client):
    answer = await client.chat.completions.create(**ASKED, tool_choice=NAMED)
    message = answer.choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rainy"}
    messages = [*ASKED["messages"], message.model_dump(exclude_none=True), result]
    went_on = await client.chat.completions.create(**(ASKED | {"messages": messages}))
    assert went_on.usage.prompt_tokens > answer.usage.prompt_tokens
    assert went_on.choices[0].finish_reason in ("stop", "length", "tool_calls")


async def test_tools_stand_in_the_prompt_unless_there_is_no_choice(client):
    plain = {name: value for name, value in ASKED.items() if name != "tools"}
    without, none, auto = [
        (await client.chat.completions.create(**asked)).usage.prompt_tokens
        for asked in (plain, ASKED | {"tool_choice": "none"}, ASKED)
    ]
    assert without == none < auto


async def test_a_grammar_beside_tools_is_refused(client):
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(**ASKED, response_format={"type": "json_object"})
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "tools")
