"""Grammars, in the EBNF of XGrammar, of one call and nothing else, or of a text with calls in it.

Of the JSON schema of a tool's arguments they hold what `serving.text.schema_grammar` can; what else
stands there is left to the model.
"""

from collections.abc import Sequence

from serving.contract.calls import Guide
from serving.contract.tools import Tool, name_of
from serving.text.schema_grammar import SchemaRules
from serving.text.schema_objects import pair
from serving.text.schema_rules import JSON_RULES, Rules, any_of, json_literal, literal


def one_call(tools: Sequence[Tool], *, arguments: str, start: str = "", end: str = "") -> Guide:
    """`start {"name": …, arguments: {…}} end`, for one of `tools`."""
    rules = Rules()
    before = f"{literal(start)} gap " if start else ""
    return _guide(f"{before}{_object(tools, arguments, rules)}{_after(end)}", rules)


def calls_in_text(tools: Sequence[Tool], *, arguments: str, start: str, end: str) -> Guide:
    """Any text, but what follows on a `start` is a call of one of `tools`."""
    rules = Rules()
    call = rules.named(f"gap {_object(tools, arguments, rules)}{_after(end)}")
    return _guide(f"TagDispatch(({literal(start)}, {call}))", rules)


def _guide(root: str, rules: Rules) -> Guide:
    return Guide("ebnf_grammar", f"root ::= {root}{JSON_RULES}{rules.text()}")


def _after(end: str) -> str:
    return f" gap {literal(end)}" if end else ""


def _object(tools: Sequence[Tool], arguments: str, rules: Rules) -> str:
    calls = [rules.named(_call(tool, arguments, rules)) for tool in tools]
    return f'"{{" gap {any_of(calls)} gap "}}"'


def _call(tool: Tool, key: str, rules: Rules) -> str:
    value = SchemaRules(tool["function"].get("parameters"), rules).object()
    return f'{pair("name", json_literal(name_of(tool)))} gap "," gap {pair(key, value)}'
