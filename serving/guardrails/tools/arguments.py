"""The arguments of a call, read strictly, and the rules that its policy has for them. Pure."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from serving.contract.guardrails import ArgumentRule
from serving.guardrails.tools.amounts import is_between
from serving.guardrails.tools.hosts import is_allowed
from serving.guardrails.tools.paths import is_inside
from serving.guardrails.tools.sql import only_reads

MAX_CHARACTERS = 1_000_000
Object = dict[str, Any]
_NO_OBJECT = object()  # where there should be one: no rule lets it pass


def read(text: str) -> Object | None:
    """The object in `text`; None for what is none, or what programs read in different ways.

    That is a name that is there twice, NaN, or more than a million characters.
    """
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _refuse(_: str) -> Any:
    raise ValueError


def broken(arguments: Object, rules: Sequence[ArgumentRule]) -> Iterator[str]:
    """A word for each rule that they break: path, host, sql or amount."""
    for rule in rules:
        whole = rule.argument.casefold()
        names = {(whole,), tuple(whole.split("."))}  # a name may have a dot in it
        values = [value for path in names for value in _values(arguments, path)]
        yield from sorted({word for value in values for word in _breaks(value, rule)})


def _values(value: Any, names: Sequence[str]) -> Iterator[Any]:
    """What is there under `names`, one in the other; of a list each of its entries.

    A name is found however it is written: there are readers of JSON to which `Path` is `path`.
    """
    if isinstance(value, list):
        for entry in value:
            yield from _values(entry, names)
    elif value is None:
        return  # it leaves it to the tool, as leaving it out does
    elif not names:
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name.casefold() == names[0]:
                yield from _values(inner, names[1:])
    else:
        yield _NO_OBJECT


def _breaks(value: Any, rule: ArgumentRule) -> Iterator[str]:
    text = value if isinstance(value, str) else None
    if rule.inside is not None and (text is None or not is_inside(text, rule.inside)):
        yield "path"
    if rule.hosts is not None and (text is None or not is_allowed(text, rule.hosts)):
        yield "host"
    if rule.is_read_only_sql and (text is None or not only_reads(text)):
        yield "sql"
    has_bounds = rule.minimum is not None or rule.maximum is not None
    if has_bounds and not is_between(value, rule.minimum, rule.maximum):
        yield "amount"
