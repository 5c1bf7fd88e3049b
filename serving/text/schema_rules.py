"""The rules of one grammar, in the EBNF of XGrammar, and those of JSON that all of them share.

Space is bounded and so are numbers, or a model could go on with one for ever. The escape of half a
surrogate pair is left out: what it stands for is no text. No class is of all but some characters,
and no range goes over one of UTF-8's borders: XGrammar would let bytes in that are no UTF-8.
"""

import json
import re
from typing import Any

JSON_RULES = r"""
gap ::= [ \n]?
object ::= "{" gap (member (gap "," gap member)*)? gap "}"
member ::= string gap ":" gap value
array ::= "[" gap (value (gap "," gap value)*)? gap "]"
value ::= object | array | string | number | boolean | null
string ::= "\"" character* "\""
character ::= plain | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CeEfF] hex | [dD] [0-7]) hex hex)
plain ::= ascii | wide
ascii ::= [ !#-\[\]-\x7f]
wide ::= [\u0080-\u07ff\u0800-\u0fff\u1000-\ucfff\ud000-\ud7ff\ue000-\uffff] | astral
astral ::= [\U00010000-\U0003ffff\U00040000-\U000fffff\U00100000-\U0010ffff]
hex ::= [0-9a-fA-F]
integer ::= "-"? ("0" | [1-9] [0-9]{0,18})
number ::= integer ("." [0-9]{1,18})? ([eE] [-+]? [0-9]{1,2})?
boolean ::= "true" | "false"
null ::= "null"
"""


_BEFORE_HEX = re.compile(r"(?<=[\x00-\x1f\x7f-\xff])(?=[0-9a-fA-F])")


class Rules:
    """Every part of a schema is a rule of its own, or a grammar could outgrow its schema."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._reserved: dict[str, str] = {}

    def named(self, expression: str) -> str:
        """The name of the rule that says it."""
        return self._names.setdefault(expression, f"r{len(self._names)}")

    def reserve(self) -> str:
        """The name of a rule that is said later, so that it may speak of itself."""
        name = f"d{len(self._reserved)}"
        self._reserved[name] = '""'
        return name

    def say(self, name: str, expression: str) -> None:
        self._reserved[name] = expression

    def text(self) -> str:
        named = ((name, rule) for rule, name in self._names.items())
        return "".join(f"{name} ::= {rule}\n" for name, rule in (*named, *self._reserved.items()))


def any_of(expressions: list[str]) -> str:
    return f"({' | '.join(expressions)})"


def times(low: int, high: int | None) -> str:
    """How often what stands before may come; None: for ever."""
    if high is None and low == 0:
        return "*"
    return f"{{{low},{'' if high is None else high}}}"


def literal(text: str) -> str:
    """`text` itself, as one string or several.

    XGrammar prints a string and reads it again, and then takes the hexadecimal digits after a `\\x`
    that it wrote for a part of it: `"éa"` would come to be U+0E9A.
    """
    parts = _BEFORE_HEX.split(text)
    return " ".join(f'"{"".join(map(_escaped, part))}"' for part in parts)


def _escaped(char: str) -> str:
    if char in '\\"':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def json_literal(value: Any) -> str:
    """`value` as JSON."""
    return literal(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
