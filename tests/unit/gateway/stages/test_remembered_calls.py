"""What is kept of an answer has its calls and its reasoning beside its text."""

from typing import Any

import orjson

from gateway.ask import Ask
from gateway.stages.remember import Transcript
from serving.adapters.content_stream import MOST_BYTES
from serving.contract.calls import Call, Chunk
from serving.contract.tools import ToolCallDelta
from serving.contract.usage import Status, UsageEvent

ASK = Ask("m", (Call(messages=({"role": "user", "content": "hi"},)),))


EVENT = UsageEvent("e", "r", 1.0, "acme", "acme/chat", "key:k", "chat", "m", Status.OK)


def kept(*chunks: Chunk) -> Any:
    made = Transcript(EVENT, ASK)
    for chunk in chunks:
        made.add(chunk)
    content = made.content()
    return None if content is None else orjson.loads(content.answer)


def test_calls_and_reasoning_are_kept_joined() -> None:
    first = ToolCallDelta(0, "call_1", "get", '{"a"')
    answer = kept(
        Chunk(reasoning="h"),
        Chunk(reasoning="m", text="So"),
        Chunk(tool_calls=(first,)),
        Chunk(tool_calls=(ToolCallDelta(0, arguments=":1}"),)),
        Chunk(1, "else"),
    )
    calls = [{"name": "get", "arguments": '{"a":1}'}]
    assert answer == [
        {"index": 0, "text": "So", "reasoning": "hm", "tool_calls": calls},
        {"index": 1, "text": "else"},
    ]


def test_long_arguments_are_not_kept() -> None:
    assert kept(Chunk(tool_calls=(ToolCallDelta(0, arguments="x" * (MOST_BYTES + 1)),))) is None
