"""A document with an instruction in it, as a mail, a page or the result of a tool brings it."""

import json
import re
from random import Random
from typing import Any

Carried = tuple[str, int, int]  # the whole, and where in it the instruction begins and ends


def carried(instruction: str, document: str, rng: Random) -> Carried:
    """The instruction in a string of a JSON document, between two sentences of any other."""
    try:
        record = json.loads(document)
    except ValueError:
        return _between(instruction, document, rng)
    return _in_record(instruction, record, rng)


def _between(instruction: str, document: str, rng: Random) -> Carried:
    breaks = [match.end() for match in re.finditer(r"[.!?>]\s|\n|$", document)]
    place = rng.choice([0, len(document), *breaks])
    before = document[:place].rstrip()
    before += rng.choice(("\n", " ", "\n\n")) if before else ""
    after = document[place:].lstrip()
    joint = rng.choice(("\n", " ")) if after else ""
    return before + instruction + joint + after, len(before), len(before) + len(instruction)


def _in_record(instruction: str, record: Any, rng: Random) -> Carried:
    leaves = list(_leaves(record))
    if not leaves:
        return _between(instruction, json.dumps(record), rng)
    holder, key = rng.choice(leaves)
    holder[key] = f"{holder[key]} {instruction}" if rng.random() < 0.6 else instruction
    whole = json.dumps(record, ensure_ascii=False)
    written = json.dumps(instruction, ensure_ascii=False)[1:-1]
    begin = whole.index(written)
    return whole, begin, begin + len(written)


def _leaves(record: Any) -> Any:
    """Where each string is: its list or object, and its place in there."""
    pairs = record.items() if isinstance(record, dict) else enumerate(record)
    for key, value in pairs:
        if isinstance(value, str):
            yield record, key
        elif isinstance(value, dict | list):
            yield from _leaves(value)
