"""How commands show what the control plane has: tables for people, JSON for machines."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from serving.cli.terminal import output

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Item = dict[str, Any]
Columns = Mapping[str, Callable[[Item], object]]


def show(found: Item | Iterable[Item], columns: Columns, *, as_json: bool) -> None:
    """A row an item; one item is a row of its own."""
    items = [found] if isinstance(found, dict) else list(found)
    if as_json:
        print_json(found if isinstance(found, dict) else items)
        return
    output.print(table_of(items, columns))


def table_of(items: Iterable[Item], columns: Columns) -> Table:
    """A row an item."""
    table = Table(*columns, box=None, pad_edge=False)
    for item in items:
        table.add_row(*(Text(text(column(item))) for column in columns.values()))
    return table


def show_fields(found: Item, *, as_json: bool) -> None:
    """One item, a line a field."""
    if as_json:
        print_json(found)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in found.items():
        if name != "object":
            table.add_row(Text(name, style="dim"), Text(text(value)))
    output.print(table)


def print_json(found: Any) -> None:
    output.out(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode(), highlight=False)


def text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return str(value)


def clock(seconds: float) -> str:
    """A span of time, as in 0:01:30."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}"


def when(moment: float | None) -> str:
    """A moment in the local time zone."""
    if moment is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def field(name: str) -> Callable[[Item], object]:
    return lambda item: item[name]


def moment(name: str) -> Callable[[Item], object]:
    return lambda item: when(item[name])
