"""The event stream of an OpenAI answer, read strictly: what is not as promised is an error."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

DONE = "[DONE]"


class BrokenAnswer(Exception):
    """The gateway did not answer as promised; the text is the same for the same fault."""


def texts(lines: Iterable[str]) -> Iterator[str]:
    """The text that each event adds, '' for an event without any; reads to the end of the stream.

    Raises BrokenAnswer for an error event, for a stream that ends without [DONE], and for one
    that goes on after it.
    """
    is_done = False
    for data in _data(lines):
        if is_done:
            raise BrokenAnswer(f"the stream goes on after {DONE}")
        if data == DONE:
            is_done = True
        else:
            yield _text(_event(data))
    if not is_done:
        raise BrokenAnswer(f"the stream ended without {DONE}")


def _data(lines: Iterable[str]) -> Iterator[str]:
    return (line.removeprefix("data:").strip() for line in lines if line.startswith("data:"))


def _event(data: str) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except ValueError:
        raise BrokenAnswer("an event is not JSON") from None
    if not isinstance(event, dict):
        raise BrokenAnswer("an event is not an object")
    if "error" in event:
        raise BrokenAnswer(f"error event: {error_code(event)}")
    return event


def _text(event: dict[str, Any]) -> str:
    deltas = (choice.get("delta", {}) for choice in event.get("choices", ()))
    return "".join(delta.get("content") or "" for delta in deltas)


def error_code(body: Any) -> str:
    """The code of an OpenAI error object, its type where it has none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "no error object"
    return str(error.get("code") or error.get("type") or "no code")
