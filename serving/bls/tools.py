"""The stage that offers the model its tools, and holds what it writes to a form. Pure."""

import json
from dataclasses import replace
from functools import lru_cache

from serving.bls.language import Language
from serving.bls.structured_output import MAX_GUIDE, held
from serving.contract.calls import Call, Guide
from serving.contract.errors import Forbidden, InvalidRequest, UnsupportedParameter
from serving.contract.grant import Grant
from serving.contract.tools import NamedTool, Tool, ToolChoice, name_of
from serving.text.schema_check import check, text_of


def offered(language: Language, call: Call, grant: Grant) -> Call:
    """`call` with the tools that the model is told of, and the grammar that its answer follows.

    Raises Forbidden for a tool that the grant does not have, InvalidRequest and
    UnsupportedParameter.
    """
    if call.guide is not None:
        call = replace(call, guide=held(call.guide))
    if not call.tools:
        _check_without_tools(call)
        return call
    if call.grant is not None:  # without one they are the caller's own: nothing here runs them
        _check_granted(call.tools, grant)
    if call.tool_choice is ToolChoice.NONE:
        return replace(call, tools=None)
    _check_told(language, call)
    _check_schemas(call.tools)
    tools = tuple(map(_plain, call.tools))
    if call.tool_choice not in (None, ToolChoice.AUTO):
        return replace(call, tools=tools, guide=_guide(language, _chosen(call, call.tools)))
    if any(map(_is_strict, call.tools)):
        return replace(call, tools=tools, guide=_text_guide(language, call.tools))
    return call


def _check_without_tools(call: Call) -> None:
    if call.tool_choice not in (None, ToolChoice.NONE, ToolChoice.AUTO):
        raise InvalidRequest("'tool_choice' needs 'tools'", param="tool_choice")


def _check_granted(tools: tuple[Tool, ...], grant: Grant) -> None:
    allowed = grant.tools
    if allowed is None:
        return
    other = next((name for name in map(name_of, tools) if name not in allowed), None)
    if other is not None:
        raise Forbidden(
            f"the tool '{other[:64]}' is not one that this key may use; leave it out", param="tools"
        )


def _check_told(language: Language, call: Call) -> None:
    if language.tools is None:
        raise UnsupportedParameter(
            "this model takes no tools: its chat template has no form of calls that is known here; "
            "leave 'tools' out, or set 'tool_choice' to none",
            param="tools",
        )
    if call.messages is None:
        raise InvalidRequest("'tools' need 'messages'", param="tools")
    if call.guide is not None:
        raise UnsupportedParameter(
            "a grammar for the answer leaves no room for calls; leave out 'tools' or the grammar "
            "('response_format'), or set 'tool_choice' to none",
            param="tools",
        )


def _is_strict(tool: Tool) -> bool:
    return tool["function"].get("strict") is True


def _plain(tool: Tool) -> Tool:
    """As the template has it: whether it is strict is not for the model."""
    function = {name: value for name, value in tool["function"].items() if name != "strict"}
    return {**tool, "function": function}


def _check_schemas(tools: tuple[Tool, ...]) -> None:
    for tool in filter(_is_strict, tools):
        name, schema = name_of(tool), tool["function"].get("parameters")
        try:
            if schema is not None:
                _check_strict(text_of(schema, param="tools"))
        except InvalidRequest as error:
            told = f"the tool '{name[:64]}' is strict, but {error.message}"
            raise type(error)(told, param="tools") from None


@lru_cache(maxsize=256)
def _check_strict(schema: str) -> None:
    check(json.loads(schema), is_strict=True, param="tools")


def _chosen(call: Call, tools: tuple[Tool, ...]) -> list[Tool]:
    if not isinstance(call.tool_choice, NamedTool):
        return list(tools)
    name = call.tool_choice.name
    chosen = [tool for tool in tools if name_of(tool) == name]
    if not chosen:
        raise InvalidRequest(
            f"'tool_choice' names '{name[:64]}', which is not among 'tools'", param="tool_choice"
        )
    return chosen


def _guide(language: Language, tools: list[Tool]) -> Guide:
    family = language.tools
    assert family is not None
    # A grammar is of text: it cannot ask for a special token.
    marks = () if family.syntax.is_bare else family.syntax.marks
    if family.guide_of is None or language.tokenizer.special_of(marks):
        raise UnsupportedParameter(
            f"this model writes calls as '{family.syntax.start}', which no grammar can force; set "
            "'tool_choice' to auto or none",
            param="tool_choice",
        )
    guide = family.guide_of(tools)
    _check_size(guide, "name one of them, or set 'tool_choice' to auto", "tool_choice")
    return guide


def _text_guide(language: Language, tools: tuple[Tool, ...]) -> Guide:
    """Of an answer in which every call that it makes has the arguments that it must have."""
    family = language.tools
    assert family is not None
    strict = next(name_of(tool) for tool in tools if _is_strict(tool))
    if (
        family.text_guide_of is None
        or language.has_reasoning
        or language.tokenizer.special_of(family.syntax.marks)
    ):
        raise UnsupportedParameter(
            f"the tool '{strict[:64]}' is strict, but what this model writes can only be held to a "
            "schema when it must call; set 'tool_choice' to required or to the tool, or leave "
            "'strict' out",
            param="tools",
        )
    guide = family.text_guide_of(tools)
    _check_size(guide, "leave 'strict' out", "tools")
    return guide


def _check_size(guide: Guide, advice: str, param: str) -> None:
    if len(guide.text) > MAX_GUIDE:
        raise UnsupportedParameter(
            f"the schemas of these tools make a grammar of {len(guide.text)} characters, it can "
            f"have {MAX_GUIDE}; {advice}",
            param=param,
        )
