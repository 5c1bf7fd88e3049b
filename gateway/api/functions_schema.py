"""Functions, which OpenAI's clients sent before there were tools, as tools."""

from typing import Any

from serving.contract.errors import InvalidRequest


def as_tools(body: dict[str, Any]) -> dict[str, Any]:
    """The body of a chat with `tools` and `tool_choice` in the place of the older fields.

    Raises InvalidRequest where it has both.
    """
    functions, choice = body.get("functions"), body.get("function_call")
    for old, new in (("functions", "tools"), ("function_call", "tool_choice")):
        if body.get(old) and body.get(new):
            raise InvalidRequest(f"'{old}' is the older form of '{new}'; give one", param=old)
    made = {k: v for k, v in body.items() if k not in ("functions", "function_call")}
    if functions is not None:
        if not isinstance(functions, list):
            raise InvalidRequest("'functions' must be a list", param="functions")
        made["tools"] = [{"type": "function", "function": each} for each in functions]
    if choice is not None:
        made["tool_choice"] = _choice(choice)
    if isinstance(body.get("messages"), list):
        made["messages"] = _messages(body["messages"])
    return made


def _choice(choice: Any) -> Any:
    match choice:
        case "auto" | "none":
            return choice
        case {"name": str(name)}:
            return {"type": "function", "function": {"name": name}}
    raise InvalidRequest(
        "'function_call' must be auto, none or an object with a name", param="function_call"
    )


def _messages(messages: list[Any]) -> list[Any]:
    """A call gets the id that its result, the message that follows, has too."""
    made = []
    for place, message in enumerate(messages):
        match message:
            case {"role": "assistant", "function_call": dict(call), **rest}:
                call = {"id": _id(place), "type": "function", "function": call}
                made.append({"content": None, **rest, "role": "assistant", "tool_calls": [call]})
            case {"role": "function", "name": str(), **rest}:
                made.append({**rest, "role": "tool", "tool_call_id": _id(place - 1)})
            case _:
                made.append(message)
    return made


def _id(place: int) -> str:
    """Of nine letters and digits: some chat templates take no others."""
    return f"call{place:05}"
