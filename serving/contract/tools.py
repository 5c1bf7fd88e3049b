"""Tools as OpenAI's clients have them, and the pieces of calls that a model makes to them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from serving.contract.errors import InvalidRequest

Tool = Mapping[str, Any]
MAX_TOOLS = 128


class ToolChoice(StrEnum):
    """What the model may do with its tools."""

    AUTO = "auto"
    NONE = "none"  # it is not told of them
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The choice of one tool: the model must call it."""

    name: str


Choice = ToolChoice | NamedTool


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a call; `id` and `name` come with the first. `arguments` is a part of a text."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


def name_of(tool: Tool) -> str:
    name: str = tool["function"]["name"]
    return name


def joined(deltas: Iterable[ToolCallDelta]) -> tuple[ToolCallDelta, ...]:
    """One for each call, in order."""
    calls: dict[int, ToolCallDelta] = {}
    for delta in deltas:
        before = calls.get(delta.index, ToolCallDelta(delta.index))
        calls[delta.index] = ToolCallDelta(
            delta.index,
            before.id or delta.id,
            before.name or delta.name,
            before.arguments + delta.arguments,
        )
    return tuple(calls[index] for index in sorted(calls))


def tools_of(value: Any) -> tuple[Tool, ...] | None:
    """The tools in a JSON `value`; None for none of them. Raises InvalidRequest."""
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise InvalidRequest("'tools' must be a JSON list", param="tools")
    if len(value) > MAX_TOOLS:
        many = f"'tools' has {len(value)} entries, it can have at most {MAX_TOOLS}"
        raise InvalidRequest(many, param="tools")
    for place, tool in enumerate(value):
        if not _is_function(tool):
            raise InvalidRequest(
                f"'tools[{place}]' must be of type function, with function.name", param="tools"
            )
    name, times = Counter(map(name_of, value)).most_common(1)[0]
    if times > 1:
        raise InvalidRequest(f"{times} tools have the name '{name[:64]}'", param="tools")
    return tuple(value)


def _is_function(tool: Any) -> bool:
    match tool:
        case {"type": "function", "function": {"name": str(name), **rest}}:
            return bool(name) and isinstance(rest.get("parameters", {}), dict)
    return False


def choice_of(value: Any) -> Choice | None:
    """The choice in a JSON `value`: a word, or an object that names a tool."""
    match value:
        case None:
            return None
        case str(word) if word in tuple(ToolChoice):
            return ToolChoice(word)
        case {"type": "function", "function": {"name": str(name)}}:
            return NamedTool(name)
    raise InvalidRequest(
        "'tool_choice' must be auto, none, required or an object of type function with "
        "function.name",
        param="tool_choice",
    )


def choice_object(choice: Choice) -> Any:
    """What `choice_of` reads."""
    if isinstance(choice, NamedTool):
        return {"type": "function", "function": {"name": choice.name}}
    return choice.value


def delta_objects(deltas: Iterable[ToolCallDelta]) -> list[dict[str, Any]]:
    """Without what they do not say."""
    return [{k: v for k, v in asdict(d).items() if v is not None} for d in deltas]


def deltas_of(value: Any) -> tuple[ToolCallDelta, ...]:
    """What `delta_objects` wrote."""
    return tuple(ToolCallDelta(**delta) for delta in value or ())
