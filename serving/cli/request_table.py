"""Requests as a table, once or again and again; as JSON for machines."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

from rich.live import Live
from rich.table import Table

from serving.cli.request_ids import shortened
from serving.cli.shown import Item, clock, field, print_json, show_fields, table_of
from serving.cli.terminal import output
from serving.contract.control import RequestItem

PERIOD_S = 1.0
COLUMNS = {
    "id": field("short"),
    "class": field("class_name"),
    "tenant": field("tenant"),
    "state": field("state"),
    "place": field("place"),
    "age": lambda item: clock(item["age_s"]),
    "tokens": lambda item: f"{item['made_tokens']}/{item['max_tokens']}",
    "preemptions": field("preemptions"),
    "why": field("why"),
}
Items = Sequence[RequestItem]


def show_requests(items: Items, known: Items, *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(item) for item in items])
    else:
        output.print(request_table(items, known))


def show_whole(items: Items, *, as_json: bool) -> None:
    """All fields, a line each."""
    if as_json:
        print_json([asdict(item) for item in items])
        return
    for place, item in enumerate(items):
        if place:
            output.print()
        show_fields(_rounded(item), as_json=False)


def request_table(items: Items, known: Items) -> Table:
    """Ids are as long as it takes to tell them from those of all that are `known`."""
    short = shortened(item.id for item in (*items, *known))
    table = table_of(({**asdict(item), "short": short[item.id]} for item in items), COLUMNS)
    for column in table.columns[:-1]:  # `why` can go on in the next line, an id cannot
        column.no_wrap = True
    return table


def watch(table: Callable[[], Table]) -> None:
    """Shows it anew every second, until Ctrl-C."""
    with suppress(KeyboardInterrupt), Live(console=output, auto_refresh=False) as live:
        while True:
            live.update(table(), refresh=True)
            time.sleep(PERIOD_S)


def _rounded(item: RequestItem) -> Item:
    said = asdict(item).items()
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in said}
