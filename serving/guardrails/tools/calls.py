"""Calls of tools as they stand in a conversation. Pure."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.contract.approvals import can_be_approved
from serving.contract.calls import Message
from serving.guardrails.tools.arguments import read

TRUST, RETRIEVED = "trust", "retrieved"  # a field of messages that somebody else has written
_TOOLS = ("tool", "function")
_EXACT = 2**53  # beyond it a float may stand for many whole numbers


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call; `arguments` is the JSON that the model wrote, which need not be right."""

    name: str
    arguments: str
    id: str | None = None

    @property
    def digest(self) -> str:
        """The same for the same call, however its JSON is written; of no other."""
        found = read(self.arguments)
        text = self.arguments if found is None else json.dumps(_plain(found), sort_keys=True)
        kind = "text" if found is None else "json"
        data = json.dumps([self.name, kind, text]).encode()
        return hashlib.sha256(data).hexdigest()[:32]


def _plain(value: Any) -> Any:
    """1.0 as 1: some write the one for the other when they write JSON anew."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def calls_of(message: Message) -> tuple[ToolCall, ...]:
    """Those that an assistant's message makes."""
    return tuple(_calls(message.get("tool_calls")))


def _calls(given: Any) -> Iterator[ToolCall]:
    for call in given if isinstance(given, list | tuple) else ():
        match call:
            case {"function": {"name": str(name), **rest}, **around}:
                yield ToolCall(name, _text(rest.get("arguments")), _id(around))


def _text(arguments: Any) -> str:
    """Chat templates take arguments as objects, too."""
    if isinstance(arguments, str):
        return arguments
    return "{}" if arguments is None else json.dumps(arguments)


def _id(call: Mapping[Any, Any]) -> str | None:
    found = call.get("id")
    return found if isinstance(found, str) else None


def is_untrusted(message: Message) -> bool:
    """Whether its text is what a tool said, or was retrieved from somewhere."""
    return message.get("role") in _TOOLS or message.get(TRUST) == RETRIEVED


def made(messages: Sequence[Message]) -> Iterator[tuple[int, ToolCall, bool]]:
    """The calls of all messages: where, which, and whether an untrusted text came before it."""
    is_tainted = False
    for place, message in enumerate(messages):
        for call in calls_of(message):
            yield place, call, is_tainted
        is_tainted = is_tainted or is_untrusted(message)


def last_results(messages: Sequence[Message]) -> dict[str | None, int]:
    """Where the last result of each call is, by the call's id; of those that name none: None."""
    found: dict[str | None, int] = {}
    for place, message in enumerate(messages):
        if message.get("role") in _TOOLS:
            id_ = message.get("tool_call_id")
            found[id_ if isinstance(id_, str) else None] = place
    return found


def asked_about(messages: Sequence[Message]) -> tuple[str, ...]:
    """The ids of calls that have a result and say that they waited for approval, each once."""
    results = last_results(messages)
    ids = (call.id for _, call, _ in made(messages))
    return tuple(
        dict.fromkeys(id_ for id_ in ids if id_ and id_ in results and can_be_approved(id_))
    )
