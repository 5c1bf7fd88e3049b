"""Calling a tool that the system message offers, and answering with what the tool gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import reading
import texts
from chat import Chat, Message
from facts import with_article
from smalltalk import DONT_KNOW
from worlds import draw_word, is_held_out

_TEXTS = texts.load("tools")
NAMES = texts.lines(_TEXTS["names"])
DESCRIPTIONS = texts.lines(_TEXTS["descriptions"])
ASKS = texts.lines(_TEXTS["asks"])
NOUNS: list[str] = _TEXTS["nouns"].split()
THINGS: dict[str, dict[str, str]] = _TEXTS["things"]
ACTIONS: list[dict[str, Any]] = _TEXTS["action"]
FAILED: str = _TEXTS["failed"]
FAILURES = texts.lines(_TEXTS["failures"])
INTEGER_KINDS = ("age", "id")
Value = str | int
Arguments = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Tool:
    """What an application offers; `parameters` maps names to JSON types."""

    name: str
    description: str
    parameters: dict[str, str]

    def as_openai(self) -> dict[str, Any]:
        """The tool as `tools` of a chat completion carries it."""
        properties = {name: {"type": kind} for name, kind in self.parameters.items()}
        schema = {"type": "object", "properties": properties, "required": [*properties]}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}

    def line(self) -> str:
        """The tool as the chat template writes it."""
        return compact(
            {"name": self.name, "description": self.description, "parameters": self.parameters}
        )


@dataclass(frozen=True, slots=True)
class Use:
    """A tool, what somebody says to have it used, and how it ends.

    Two tools of one topic would be equally right, so a chat never offers both.
    """

    topic: str
    tool: Tool
    asked: str
    arguments: Arguments
    result: dict[str, Value]
    answer: str

    @property
    def call(self) -> str:
        """What the model writes to call the tool."""
        return call_text(self.tool.name, self.arguments)


def compact(value: Any) -> str:
    """JSON without spaces, which is how the model reads and writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def call_text(name: str, arguments: Arguments) -> str:
    """A tool call in the demo's format."""
    return f"<tool_call>{compact({'name': name, 'arguments': arguments})}</tool_call>"


def system_text(system: str, tools: list[Tool]) -> str:
    """The system message with its tools, as the chat template writes it."""
    lines = "\n".join(["Tools:", *(tool.line() for tool in tools)])
    return f"{system}\n{lines}" if system else lines


def value_of(kind: str, rng: Random, *, held_out: bool) -> Value:
    """A value for a parameter; whole numbers for kinds that are counted."""
    if kind == "id":
        return rng.randint(1, 9999)
    if kind == "age":
        return rng.randint(2, 99)
    return reading.value_of(kind, rng, held_out=held_out)


def _result_of(noun: str, rng: Random, *, held_out: bool) -> Value:
    if rng.random() < 0.5:
        return rng.randint(0, 999)
    kind = rng.choice(("invented", "name", "colour", "town", noun))
    return draw_word(kind if kind != noun else "invented", rng, held_out=held_out)


def _topic(rng: Random, *, held_out: bool) -> tuple[str, str]:
    while True:
        noun, thing = rng.choice(NOUNS), rng.choice(list(THINGS))
        if is_held_out(f"{noun} of a {thing}") == held_out:
            return noun, thing


def lookup(rng: Random, *, held_out: bool) -> Use:
    """A use of a tool that looks something up; some pairs of noun and thing are held out."""
    noun, thing = _topic(rng, held_out=held_out)
    spec = THINGS[thing]
    parameter = rng.choice(spec["names"].split())
    value = value_of(spec["kind"], rng, held_out=held_out)
    tool = Tool(
        rng.choice(NAMES).format(noun=noun, thing=thing),
        rng.choice(DESCRIPTIONS).format(noun=noun, thing=with_article(thing)),
        {parameter: spec["type"]},
    )
    whom = f"{thing} {value}" if spec["type"] == "integer" else str(value)
    found = _result_of(noun, rng, held_out=held_out)
    asked = rng.choice(ASKS).format(noun=noun, v=whom)
    answer = f"The {noun} of {whom} is {found}."
    return Use(f"{noun} {thing}", tool, asked, {parameter: value}, {noun: found}, answer)


def action(rng: Random, *, held_out: bool) -> Use:
    """A use of a tool that does something."""
    spec = rng.choice(ACTIONS)
    kinds: dict[str, str] = spec["parameters"]
    arguments = {name: value_of(kind, rng, held_out=held_out) for name, kind in kinds.items()}
    types = {k: "integer" if v in INTEGER_KINDS else "string" for k, v in kinds.items()}
    tool = Tool(rng.choice(spec["names"].split()), spec["description"], types)
    asked = rng.choice(texts.lines(spec["asks"])).format(**arguments)
    done = spec["done"].format(**arguments)
    return Use(tool.description, tool, asked, arguments, {"status": "done"}, done)


def draw_use(rng: Random, *, held_out: bool) -> Use:
    """Any use; three of five look something up."""
    return (lookup if rng.random() < 0.6 else action)(rng, held_out=held_out)


def draw_uses(rng: Random, count: int, *, held_out: bool) -> list[Use]:
    """Up to so many uses of as many tools, no two of one topic or of one name."""
    uses: dict[str, Use] = {}
    for _ in range(count):
        use = draw_use(rng, held_out=held_out)
        if use.tool.name not in {one.tool.name for one in uses.values()}:
            uses.setdefault(use.topic, use)
    return list(uses.values())


def call(chat: Chat, use: Use, *, can_fail: bool = True) -> None:
    """The user asks, the model calls the tool, the tool answers, the model says what came out."""
    asked = use.asked if chat.rng.random() < 0.75 else use.asked.rstrip("?.")
    has_failed = can_fail and chat.rng.random() < 0.08
    result = {"error": chat.rng.choice(FAILURES)} if has_failed else use.result
    chat.say(asked, use.call)
    answer = FAILED if has_failed else use.answer
    chat.messages += [Message("tool", compact(result)), Message("assistant", answer)]


def no_tool(chat: Chat, offered: list[Use]) -> None:
    """The user asks for something that none of the tools can look up."""
    use = lookup(chat.rng, held_out=chat.held_out)
    if use.topic.split()[0] not in {one.topic.split()[0] for one in offered}:
        chat.say(use.asked, DONT_KNOW)


def use_tools(
    chat: Chat,
    *,
    others: tuple[Callable[[Chat], None], ...] = (),
    count: int | None = None,
    can_fail: bool = True,
) -> list[Use]:
    """A chat with tools in its system message: calls, and turns that need none."""
    rng = chat.rng
    wanted = count or rng.choice((1, 1, 2, 2, 3))
    offered = draw_uses(rng, wanted + rng.choice((0, 1, 1, 2)), held_out=chat.held_out)
    uses = offered[:wanted]
    shuffled = rng.sample(offered, len(offered))
    system = chat.messages.pop().content if chat.messages else ""
    chat.messages.append(Message("system", system_text(system, [one.tool for one in shuffled])))
    for use in uses:
        if others and rng.random() < 0.35:
            rng.choice(others)(chat)
        if others and rng.random() < 0.1:
            no_tool(chat, offered)
        call(chat, use, can_fail=can_fail)
    return uses
