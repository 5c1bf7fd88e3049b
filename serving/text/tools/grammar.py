"""A grammar, in the EBNF of XGrammar, of one call and nothing else.

Of the JSON schema of a tool's arguments it holds types, `properties`, `required`, `items`, `enum`,
`const`, `anyOf` and `oneOf`; what else stands there is left to the model. Space is bounded, or a
model could go on with it for ever.
"""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from serving.contract.calls import Guide
from serving.contract.tools import Tool, name_of

MAX_DEPTH = 8
_JSON = r"""
gap ::= [ \n]?
object ::= "{" gap (member (gap "," gap member)*)? gap "}"
member ::= string gap ":" gap value
array ::= "[" gap (value (gap "," gap value)*)? gap "]"
value ::= object | array | string | number | boolean | null
string ::= "\"" character* "\""
character ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" hex hex hex hex)
hex ::= [0-9a-fA-F]
integer ::= "-"? ("0" | [1-9] [0-9]*)
number ::= integer ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
boolean ::= "true" | "false"
null ::= "null"
"""
_SCALARS = ("string", "integer", "number", "boolean", "null")


def one_call(tools: Sequence[Tool], *, arguments: str, start: str = "", end: str = "") -> Guide:
    """`start {"name": …, arguments: {…}} end`, for one of `tools`."""
    rules = _Rules()
    calls = [rules.named(_call(tool, arguments, rules)) for tool in tools]
    before = f"{_text(start)} gap " if start else ""
    after = f" gap {_text(end)}" if end else ""
    root = f'root ::= {before}"{{" gap {_any(calls)} gap "}}"{after}'
    return Guide("ebnf_grammar", f"{root}{_JSON}{rules.text()}")


class _Rules:
    """Every part of a schema is a rule of its own, or a grammar could outgrow its schema."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def named(self, expression: str) -> str:
        return self._names.setdefault(expression, f"r{len(self._names)}")

    def text(self) -> str:
        return "".join(f"{name} ::= {rule}\n" for rule, name in self._names.items())


def _call(tool: Tool, key: str, rules: _Rules) -> str:
    schema = tool["function"].get("parameters")
    value = _object(schema, 0, rules) if isinstance(schema, dict) else "object"
    return f'{_pair("name", _json(name_of(tool)))} gap "," gap {_pair(key, value)}'


def _pair(key: str, value: str) -> str:
    return f'{_json(key)} gap ":" gap {value}'


def _value(schema: Any, depth: int, rules: _Rules) -> str:
    """The name of a rule."""
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return "value"
    match schema:
        case {"const": constant}:
            return rules.named(_json(constant))
        case {"enum": [_, *_] as values}:
            return rules.named(_any([_json(value) for value in values]))
        case {"anyOf": [_, *_] as schemas} | {"oneOf": [_, *_] as schemas}:
            return rules.named(_any([_value(each, depth + 1, rules) for each in schemas]))
        case {"type": [_, *_] as kinds}:
            each = ({**schema, "type": kind} for kind in kinds)
            return rules.named(_any([_value(one, depth + 1, rules) for one in each]))
        case {"type": str(kind)} if kind in _SCALARS:
            return kind
        case {"type": "array"}:
            item = _value(schema.get("items"), depth + 1, rules)
            return rules.named(f'"[" gap ({item} (gap "," gap {item})*)? gap "]"')
        case {"type": "object"}:
            return _object(schema, depth, rules)
    return "value"


def _object(schema: dict[str, Any], depth: int, rules: _Rules) -> str:
    """Its properties and no others: first all that are required, then of the rest any or none."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        return "object"
    names = schema.get("required")
    required = {name for name in names if isinstance(name, str)} if isinstance(names, list) else ()
    pairs = {
        name: rules.named(_pair(name, _value(each, depth + 1, rules)))
        for name, each in properties.items()
    }
    first = ' gap "," gap '.join(pair for name, pair in pairs.items() if name in required)
    tails = _tails([pair for name, pair in pairs.items() if name not in required], rules)
    if first:
        return rules.named(f'"{{" gap {first} {tails[0][1]} gap "}}"')
    starts = [f"{pair} {after}" for (pair, _), (_, after) in pairwise(tails)]
    return rules.named(f'"{{" gap {_any(starts)}? gap "}}"')


def _tails(pairs: list[str], rules: _Rules) -> list[tuple[str, str]]:
    """Each pair, and the rule of what may stand after another one: it, and those behind it."""
    tails = [("", rules.named('""'))]
    for pair in reversed(pairs):
        tails.append((pair, rules.named(f'(gap "," gap {pair})? {tails[-1][1]}')))
    return tails[::-1]


def _any(expressions: list[str]) -> str:
    return f"({' | '.join(expressions)})"


def _json(value: Any) -> str:
    """The value as JSON, as a text of the grammar."""
    return _text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
