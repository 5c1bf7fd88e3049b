"""The official `openai` client's older `functions` against the whole stack."""

import json

ASKED = {"model": "demo", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 200}
FUNCTION = {
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
        "required": ["city"],
    },
}


async def test_functions_are_called_in_their_older_form(client):
    asked = ASKED | {"functions": [FUNCTION], "function_call": {"name": "weather"}}
    (choice,) = (await client.chat.completions.create(**asked)).choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("function_call", None)
    call = choice.message.function_call
    assert (call.name, json.loads(call.arguments)["city"]) in (
        ("weather", "Oslo"),
        ("weather", "Rome"),
    )
    stream = await client.chat.completions.create(**asked, stream=True)
    chunks = [chunk.choices[0] async for chunk in stream]
    pieces = [chunk.delta.function_call for chunk in chunks if chunk.delta.function_call]
    assert pieces[0].name == "weather"
    assert json.loads("".join(piece.arguments for piece in pieces))["city"] in ("Oslo", "Rome")
    assert chunks[-1].finish_reason == "function_call"

    result = {"role": "function", "name": "weather", "content": "rainy"}
    messages = [*ASKED["messages"], choice.message.model_dump(exclude_none=True), result]
    await client.chat.completions.create(**(asked | {"messages": messages}))
