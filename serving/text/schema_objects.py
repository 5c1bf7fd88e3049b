"""Objects as rules of a grammar: their properties, and others where the schema lets them be."""

from collections.abc import Collection
from itertools import pairwise
from typing import Any

from serving.text.schema_characters import Characters, Notation
from serving.text.schema_rules import Rules, any_of, json_literal, literal, times

COMMA = 'gap "," gap'
# What a key may be that is written without an escape: no other text means the same key.
_END = '"\\""'


def pair(key: str, value: str) -> str:
    return f'{json_literal(key)} gap ":" gap {value}'


def closed(pairs: dict[str, str], required: Collection[str], extra: str, rules: Rules) -> str:
    """First all that are required, then of the rest any or none, and last any number of `extra`.

    `pairs` are the rules of a name and its value; `extra`: that of any other, or "".
    """
    first = f" {COMMA} ".join(rule for name, rule in pairs.items() if name in required)
    rest = [rule for name, rule in pairs.items() if name not in required]
    tails = _tails(rest, extra, rules)
    if first:
        return f'"{{" gap {first} {tails[0][1]} gap "}}"'
    starts = [f"{rule} {after}" for (rule, _), (_, after) in pairwise(tails)]
    starts += [f"{extra} {tails[-1][1]}"] if extra else []
    inner = f"{any_of(starts)}? gap " if starts else ""
    return f'"{{" gap {inner}"}}"'


def _tails(pairs: list[str], extra: str, rules: Rules) -> list[tuple[str, str]]:
    """Each pair, and the rule of what may stand after another one: it, and those behind it."""
    tails = [("", rules.named(f"({COMMA} {extra})*" if extra else '""'))]
    for each in reversed(pairs):
        tails.append((each, rules.named(f"({COMMA} {each})? {tails[-1][1]}")))
    return tails[::-1]


def map_of(extra: str, least: int, most: int | None) -> str:
    """Any names, from `least` (0 or 1) to `most` times."""
    if most == 0:
        return '"{" gap "}"'
    more = f"({COMMA} {extra}){times(0, None if most is None else most - 1)}"
    some = f"{extra} {more} gap"
    return f'"{{" gap {some if least else f"({some})?"} "}}"'


def other_pair(names: Collection[str], value: str, rules: Rules) -> str:
    """The rule of a pair whose name is none of `names`."""
    key = f'"\\"" {_other([name for name in names if _is_plain(name)], rules)}'
    return rules.named(f'{key} gap ":" gap {value}')


def _is_plain(name: str) -> bool:
    return not any(char in '"\\' or char < " " for char in name)


def _other(suffixes: list[str], rules: Rules) -> str:
    """What may stand after a beginning that `suffixes` would make one of the names."""
    if not suffixes:
        return f"plain* {_END}"
    starts: dict[str, list[str]] = {}
    for suffix in suffixes:
        if suffix:
            starts.setdefault(suffix[0], []).append(suffix[1:])
    others = Notation.JSON.one_of(~Characters.of("".join(starts)))
    parts = [] if "" in suffixes else [_END]
    parts.append(f"{others} plain* {_END}")
    parts += [f"{literal(char)} {_other(rest, rules)}" for char, rest in starts.items()]
    return rules.named(any_of(parts))


def required_of(schema: dict[str, Any]) -> list[str]:
    names = schema.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
