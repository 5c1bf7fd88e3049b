"""What the supervisor tells whoever started it, in this process or over a pipe."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum

import orjson


class Kind(StrEnum):
    """`STEP` begins something that may take a while; the others stand for themselves."""

    STEP = "step"
    READY = "ready"
    NOTE = "note"
    ERROR = "error"


Report = Callable[[Kind, str], None]


def to_pipe(descriptor: int) -> Report:
    """Reports as lines of JSON until the stack has come up, then closes the pipe."""
    is_open = True

    def report(kind: Kind, text: str) -> None:
        nonlocal is_open
        if not is_open:
            return
        with suppress(BrokenPipeError):
            os.write(descriptor, orjson.dumps([kind, text]) + b"\n")
        if kind is Kind.READY:
            os.close(descriptor)
            is_open = False

    return report


def from_pipe(lines: Iterable[str]) -> Iterator[tuple[Kind, str]]:
    """What `to_pipe` wrote."""
    for line in lines:
        kind, text = orjson.loads(line)
        yield Kind(kind), text
