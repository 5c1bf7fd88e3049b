"""The texts of a call as guardrails see them, and the call with what they made of them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from serving.contract.calls import Call, Message
from serving.contract.guardrails import UNTRUSTED, Stage
from serving.guardrails.tools.calls import RETRIEVED, TRUST, is_untrusted


@dataclass(frozen=True, slots=True)
class Told:
    """One text of a prompt. `place` is its message's; None: the prompt is one text.

    `is_asked`: it is what the caller, or somebody not trusted, says now or has said; else it is of
    the system or the model itself, and only data are looked for.
    """

    text: str
    stage: Stage
    place: int | None = None
    is_asked: bool = True


Read = Callable[[Told], str]


def read_all(call: Call, read: Read) -> Call:
    """`call` with every text as `read` gives it back, in order."""
    if call.messages is not None:
        messages = tuple(_message(m, place, read) for place, m in enumerate(call.messages))
        return replace(call, messages=messages)
    if call.text is not None:
        return replace(call, text=read(Told(call.text, Stage.INPUT)))
    return call


def _message(message: Message, place: int, read: Read) -> Message:
    stage = stage_of(message)
    is_asked = stage in UNTRUSTED or message.get("role") == "user"

    def part(text: str) -> str:
        return read(Told(text, stage, place, is_asked))

    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": part(content)}
    if isinstance(content, list):
        return {**message, "content": [_part(each, part) for each in content]}
    return message


def _part(given: Any, part: Callable[[str], str]) -> Any:
    match given:
        case {"type": "text", "text": str(text)}:
            return {**given, "text": part(text)}
    return given


def stage_of(message: Message) -> Stage:
    """By who has written it."""
    if message.get(TRUST) == RETRIEVED:
        return Stage.RETRIEVED
    return Stage.TOOL_RESULT if is_untrusted(message) else Stage.INPUT


def is_tainted(call: Call) -> bool:
    """Whether a text is in it that nobody vouches for."""
    return any(stage_of(message) in UNTRUSTED for message in call.messages or ())
