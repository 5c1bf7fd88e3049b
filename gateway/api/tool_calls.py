"""Calls of tools as OpenAI's clients read them: in pieces, or whole."""

from collections.abc import Iterable
from typing import Any

from serving.contract.approvals import pending_field
from serving.contract.tools import ToolCallDelta


def passed_on(deltas: Iterable[ToolCallDelta], *, is_one_call: bool) -> tuple[ToolCallDelta, ...]:
    """Of the calls only the first where the client wants no more at a time."""
    return tuple(delta for delta in deltas if delta.index == 0 or not is_one_call)


def pieces(deltas: Iterable[ToolCallDelta]) -> list[dict[str, Any]]:
    """`delta.tool_calls`: a call's id, type and name come with its first piece."""
    return [_piece(delta) for delta in deltas]


def _piece(delta: ToolCallDelta) -> dict[str, Any]:
    if delta.name is None:
        return {"index": delta.index, "function": {"arguments": delta.arguments}}
    return {"index": delta.index, **_call(delta)}


def whole(calls: Iterable[ToolCallDelta]) -> list[dict[str, Any]]:
    """`message.tool_calls`."""
    return [_call(call) for call in calls]


def function_piece(deltas: Iterable[ToolCallDelta]) -> dict[str, Any] | None:
    """`delta.function_call` or `message.function_call`, the older form: of one call, no id."""
    for delta in deltas:
        name = {} if delta.name is None else {"name": delta.name}
        return {**name, "arguments": delta.arguments}
    return None


def _call(call: ToolCallDelta) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    waits = pending_field(call.id)
    return {"id": call.id, "type": "function", "function": function, **waits}
