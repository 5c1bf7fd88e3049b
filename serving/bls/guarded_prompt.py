"""The texts of a call as guardrails see them, and the call with what they made of them. Pure.

Whatever a template may write is read: an unknown field of a message, or a role that is a sentence,
is a text of the caller.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from serving.contract.calls import Call, Message
from serving.contract.guardrails import UNTRUSTED, Stage
from serving.guardrails.tools.calls import RETRIEVED, TRUST, is_untrusted

_OWN = ("system", "developer", "assistant")  # roles of those who are not read for attacks
_LABELS = ("role", "name", "id", "type", "tool_call_id", TRUST)
_LABEL = re.compile(r"[\w.:-]{0,64}")  # what one of them may be and say nothing


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
Part = Callable[[str], str]


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
    is_own = message.get("role") in _OWN

    def content(text: str) -> str:
        return read(Told(text, stage, place, stage in UNTRUSTED or not is_own))

    def beside(text: str) -> str:
        """What the caller's own program has written, also around a text of others."""
        return read(Told(text, Stage.INPUT, place, not is_own))

    fields = dict(message) | {"content": _joined(message.get("content"))}
    return {n: _field(n, v, content if n == "content" else beside) for n, v in fields.items()}


def _field(name: Any, value: Any, part: Part) -> Any:
    """What is no text stays as it is, unless something in it is replaced."""
    match value:
        case None | bool():
            return value
        case str() if name in _LABELS and _LABEL.fullmatch(value):
            return value
        case str():
            return part(value)
        case [*calls] if name == "tool_calls":
            return [_call(call, part) for call in calls]
    text = _json(value)
    read = part(text)
    return value if read == text else read


def _joined(content: Any) -> Any:
    """Parts as the one text that the template will write. Other parts than texts are refused."""
    match content:
        case [*parts] if all(_is_text(part) for part in parts):
            return "".join(part["text"] for part in parts)
    return content


def _is_text(part: Any) -> bool:
    match part:
        case {"type": "text", "text": str()}:
            return True
    return False


def _call(call: Any, part: Part) -> Any:
    match call:
        case {"function": {"arguments": arguments, **function}, **around}:
            said = _fields(function, part) | {"arguments": _arguments(arguments, part)}
            return {**_fields(around, part), "function": said}
    return _field("", call, part)


def _fields(fields: Mapping[Any, Any], part: Part) -> dict[Any, Any]:
    return {name: _field(name, value, part) for name, value in fields.items()}


def _arguments(arguments: Any, part: Part) -> Any:
    r"""Read as the model reads them: what JSON writes as \u0041 is an A."""
    if not isinstance(arguments, str) or "\\" not in arguments:
        return _field("", arguments, part)
    try:
        text = _json(json.loads(arguments))
    except (ValueError, RecursionError):
        return part(arguments)
    read = part(text)
    return arguments if read == text else read


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def stage_of(message: Message) -> Stage:
    """By who has written it."""
    if message.get(TRUST) == RETRIEVED:
        return Stage.RETRIEVED
    return Stage.TOOL_RESULT if is_untrusted(message) else Stage.INPUT


def is_tainted(call: Call) -> bool:
    """Whether a text is in it that nobody vouches for."""
    return any(stage_of(message) in UNTRUSTED for message in call.messages or ())
