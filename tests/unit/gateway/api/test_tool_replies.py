"""Calls and reasoning have the shape that OpenAI's clients parse, in pieces and whole."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.api.chat import ChatReply
from gateway.api.choices import gather
from gateway.ask import Ask
from gateway.pipeline import Answer
from gateway.stages.route import Model
from gateway.tally import Tally
from serving.contract.calls import Call, Chunk, FinishReason
from serving.contract.tools import ToolCallDelta

DONE = FinishReason.TOOL_CALLS
CHUNKS = (
    Chunk(reasoning="hm"),
    Chunk(text="I look."),
    Chunk(tool_calls=(ToolCallDelta(0, "call_1", "get", '{"ci'),)),
    Chunk(tool_calls=(ToolCallDelta(0, arguments='ty":1}'), ToolCallDelta(1, "call_2", "wait"))),
    Chunk(tool_calls=(ToolCallDelta(1, arguments="{}"),), finish_reason=DONE),
)


async def _stream(chunks: Iterable[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


def answer(*chunks: Chunk, is_one_call: bool = False) -> Answer:
    ask = Ask("m", (Call(text="x"),), is_streamed=True, is_one_call=is_one_call)
    return Answer(ask, Model("m", 1), Tally(1), _stream(chunks))


def deltas_of(*chunks: Chunk, is_one_call: bool = False) -> list[dict[str, Any]]:
    reply = ChatReply(answer(is_one_call=is_one_call))
    data = b"".join(reply.events(chunk) for chunk in chunks)
    events = [orjson.loads(line.removeprefix(b"data: ")) for line in data.split(b"\n\n") if line]
    parsed = [ChatCompletionChunk.model_validate(event, strict=True) for event in events]
    assert parsed[-1].choices[0].finish_reason == "tool_calls"
    return [event["choices"][0]["delta"] for event in events]


async def whole_of(*chunks: Chunk, is_one_call: bool = False) -> ChatCompletion:
    given = answer(*chunks, is_one_call=is_one_call)
    body = ChatReply(given).whole(await gather(given.chunks), Tally())
    return ChatCompletion.model_validate_json(body, strict=True)


def test_calls_are_streamed_in_pieces() -> None:
    first = {"id": "call_1", "type": "function", "function": {"name": "get", "arguments": '{"ci'}}
    second = {"id": "call_2", "type": "function", "function": {"name": "wait", "arguments": ""}}
    assert deltas_of(*CHUNKS) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "I look."},
        {"tool_calls": [{"index": 0, **first}]},
        {
            "tool_calls": [
                {"index": 0, "function": {"arguments": 'ty":1}'}},
                {"index": 1, **second},
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


async def test_a_whole_answer_has_its_calls_joined() -> None:
    completion = await whole_of(*CHUNKS)
    (choice,) = completion.choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "I look.")
    assert choice.message.model_extra == {"reasoning_content": "hm"}
    calls = [call.to_dict() for call in choice.message.tool_calls or []]
    assert calls == [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "get", "arguments": '{"city":1}'},
        },
        {"id": "call_2", "type": "function", "function": {"name": "wait", "arguments": "{}"}},
    ]


async def test_calls_without_text_have_no_content() -> None:
    message = (await whole_of(*CHUNKS[2:])).choices[0].message
    assert message.content is None
    plain = (await whole_of(Chunk(finish_reason=FinishReason.STOP))).choices[0].message
    assert (plain.content, plain.tool_calls, plain.model_extra) == ("", None, {})


async def test_only_the_first_call_is_passed_on_where_one_is_asked_for() -> None:
    calls = (await whole_of(*CHUNKS, is_one_call=True)).choices[0].message.tool_calls or []
    assert [call.id for call in calls] == ["call_1"]
    deltas = deltas_of(*CHUNKS, is_one_call=True)
    indexes = [call["index"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert indexes == [0, 0]


@pytest.mark.parametrize("index", [0, 1])
def test_calls_may_be_the_first_of_a_choice(index: int) -> None:
    chunks = [replace(chunk, index=index) for chunk in CHUNKS[2:]]
    deltas = deltas_of(*chunks)
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert deltas[1]["tool_calls"][0]["id"] == "call_1"
