"""Messages as the chat templates of text models take them."""

import json
from typing import Any

from serving.contract.calls import Message
from serving.contract.errors import InvalidRequest


def plain(message: Message) -> Message:
    """Its text as one string, the arguments of its calls as objects. Raises InvalidRequest."""
    return _with_objects(_with_plain_content(message))


def _with_plain_content(message: Message) -> Message:
    """Templates of text models take one string, so a list of text parts is joined."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    texts = [part["text"] for part in content if isinstance(part, dict) and _is_text(part)]
    if len(texts) != len(content):
        raise InvalidRequest("of content parts, this model takes text only", param="messages")
    return {**message, "content": "".join(texts)}


def _is_text(part: Message) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)


def _with_objects(message: Message) -> Message:
    """Templates write the arguments of earlier calls as JSON, so they take objects, not texts."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    return {**message, "tool_calls": [_with_object(call) for call in calls]}


def _with_object(call: Any) -> Any:
    match call:
        case {"function": {"arguments": str(text)} as function}:
            return {**call, "function": {**function, "arguments": _object(text)}}
    return call


def _object(text: str) -> Any:
    """Of a text that is no JSON object, what the model wrote stays as it is."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text
