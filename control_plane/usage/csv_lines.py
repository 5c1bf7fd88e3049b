"""Usage events as CSV (RFC 4180) that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import orjson

from serving.contract.usage import UsageEvent

COLUMNS = [field.name for field in fields(UsageEvent)]
# Of a cell that begins with one of these a spreadsheet makes a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def header() -> bytes:
    return _lines([COLUMNS])


def lines(events: Iterable[UsageEvent]) -> bytes:
    """A line an event; times are ISO 8601 in UTC, verdicts JSON, what is absent is empty."""
    return _lines([_cell(name, getattr(event, name)) for name in COLUMNS] for event in events)


def _lines(rows: Iterable[list[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cell(name: str, value: Any) -> Any:
    if name == "began_at":
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="microseconds")
    if name == "verdicts":
        return orjson.dumps(value).decode() if value else None
    return safe(value) if isinstance(value, str) else value


def safe(text: str) -> str:
    """With a quote before what would make it a formula; spaces before that are no protection."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text
