"""The tools of a chat, the calls in its messages, and the results that answer them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from gateway.api.errors import UNSUPPORTED
from gateway.api.schemas import Flag, Text
from serving.contract.errors import InvalidRequest
from serving.contract.tools import Tool

Name = Annotated[Text, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


def _function_only(kind: Any) -> Any:
    if isinstance(kind, str) and kind != "function":
        message = "is {kind}, which is not supported here; use function"
        raise PydanticCustomError(UNSUPPORTED, message, {"kind": kind[:32]})
    return kind


FunctionType = Annotated[Literal["function"], BeforeValidator(_function_only)]


class Function(BaseModel):
    """What the model is told of a tool; `parameters` is a JSON schema."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Name
    description: Text | None = None
    parameters: dict[str, Any] | None = None
    strict: Flag | None = None


class OfferedTool(BaseModel):
    """One of `tools`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: FunctionType
    function: Function

    def as_template_input(self) -> Tool:
        is_strict = bool(self.function.strict)
        exclude = None if is_strict else {"strict"}
        function = self.function.model_dump(exclude_none=True, exclude=exclude)
        return {"type": "function", "function": function}


class CalledFunction(BaseModel):
    """`arguments` is JSON as the model wrote it, so it need not be right."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: Annotated[Text, Field(min_length=1)]
    arguments: Text


class ToolCall(BaseModel):
    """A call that the model made in an earlier turn."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[Text, Field(min_length=1)]
    type: FunctionType
    function: CalledFunction


def narrowed(tools: list[OfferedTool], choice: Any) -> tuple[list[OfferedTool], Any]:
    """The tools that a choice of type `allowed_tools` leaves, and the mode that it has.

    The model is not told of the others. Raises InvalidRequest.
    """
    match choice:
        case {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(allowed)}}:
            if mode not in ("auto", "required") or not allowed:
                raise InvalidRequest(
                    "'tool_choice.allowed_tools' must have a mode, auto or required, and one tool "
                    "or more",
                    param="tool_choice",
                )
            names = [_allowed_name(each, tools) for each in allowed]
            return [tool for tool in tools if tool.function.name in names], mode
    return tools, choice


def _allowed_name(allowed: Any, tools: list[OfferedTool]) -> str:
    match allowed:
        case {"type": "function", "function": {"name": str(name)}}:
            if any(tool.function.name == name for tool in tools):
                return name
            told = f"'tool_choice' allows '{name[:64]}', which is not among 'tools'"
            raise InvalidRequest(told, param="tool_choice")
    raise InvalidRequest(
        "'tool_choice.allowed_tools.tools' must be of type function, with function.name",
        param="tool_choice",
    )


def check_results(messages: Sequence[Any]) -> None:
    """Raises InvalidRequest for a result of a call that no message before it has made."""
    made: set[str] = set()
    for place, message in enumerate(messages):
        made.update(call.id for call in message.tool_calls or ())
        if message.role == "tool" and message.tool_call_id not in made:
            raise InvalidRequest(
                f"'messages[{place}].tool_call_id' is '{message.tool_call_id[:64]}', but no "
                "message of the assistant before it has a tool call with that id",
                param=f"messages[{place}].tool_call_id",
            )
