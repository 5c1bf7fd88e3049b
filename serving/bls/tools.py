"""The stage that offers the model its tools, and makes it call one where it must. Pure."""

from dataclasses import replace

from serving.bls.language import Language
from serving.contract.calls import Call, Guide
from serving.contract.errors import Forbidden, InvalidRequest, UnsupportedParameter
from serving.contract.grant import Grant
from serving.contract.tools import NamedTool, Tool, ToolChoice, name_of

MAX_GUIDE = 65_536  # characters that engines read at most


def offered(language: Language, call: Call, grant: Grant) -> Call:
    """`call` with the tools that the model is told of, and the grammar that makes it call one.

    Raises Forbidden for a tool that the grant does not have, InvalidRequest and
    UnsupportedParameter.
    """
    if not call.tools:
        _check_without_tools(call)
        return call
    if call.grant is not None:  # without one they are the caller's own: nothing here runs them
        _check_granted(call.tools, grant)
    if call.tool_choice is ToolChoice.NONE:
        return replace(call, tools=None)
    _check_told(language, call)
    if call.tool_choice in (None, ToolChoice.AUTO):
        return call
    return replace(call, guide=_guide(language, _chosen(call, call.tools)))


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
    if len(guide.text) > MAX_GUIDE:
        raise UnsupportedParameter(
            f"the schemas of these tools make a grammar of {len(guide.text)} characters, it can "
            f"have {MAX_GUIDE}; name one of them, or set 'tool_choice' to auto",
            param="tool_choice",
        )
    return guide
