"""A summary of usage as a table and a chart for the terminal. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.bar import Bar
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

BLOCKS = "▁▂▃▄▅▆▇█"
BAR_WIDTH = 16
WIDEST = 72  # columns of the chart
DAY_S = 86400
Summary = Mapping[str, Any]  # as /v1/usage/summary answers


def report(summary: Summary) -> RenderableType:
    """Groups by cost, totals, and how requests, tokens and cost went over time."""
    if not summary["totals"]["requests"]:
        return Text(f"no usage from {_day(summary['since'])} to {_day(summary['until'])} (UTC)")
    return Group(_groups(summary), "", *_chart(summary))


def _groups(summary: Summary) -> Table:
    by, groups = summary["by"], summary["groups"]
    table = Table(box=None, pad_edge=False)
    for name in by:
        table.add_column(name, overflow="fold")
    for name in ("requests", "input", "cached", "output", "cost"):
        table.add_column(name, justify="right")
    table.add_column("")
    largest = max(map(_weight, groups))
    for group in groups:
        labels = [_shown(group["by"][name]) for name in by]
        table.add_row(*labels, *_sums(group), Bar(largest, 0, _weight(group), width=BAR_WIDTH))
    if summary["has_more"]:
        table.add_row("…", style="dim")
    table.add_row("total", *[""] * (len(by) - 1), *_sums(summary["totals"]), style="bold")
    return table


def _shown(label: str | None) -> Text:
    """Clients choose some of the labels: none of them speaks to the terminal."""
    return Text("".join(c if c.isprintable() else "\ufffd" for c in label or "-"))


def _weight(group: Mapping[str, Any]) -> float:
    """What the groups are ordered by, where anything costs anything; else their tokens."""
    return float(group["cost_nusd"] or _tokens(group) / 1e9)


def _sums(sums: Mapping[str, Any]) -> list[str]:
    counts = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens")
    return [*(f"{sums[name]:,}" for name in counts), money(sums["cost_nusd"])]


def money(nusd: int) -> str:
    """Dollars with as many digits as small sums need."""
    usd = nusd / 1e9
    if usd >= 1 or nusd == 0:
        return f"${usd:,.2f}"
    digits = 2 - math.floor(math.log10(usd))
    return f"${usd:.{digits}f}".rstrip("0")


def _tokens(sums: Mapping[str, Any]) -> int:
    return int(sums["prompt_tokens"] + sums["completion_tokens"])


def _chart(summary: Summary) -> list[Text]:
    columns = _columns(summary)
    lines = {
        "requests": [sum(point["requests"] for point in column) for column in columns],
        "tokens": [sum(map(_tokens, column)) for column in columns],
        "cost": [sum(point["cost_nusd"] for point in column) for column in columns],
    }
    most = {name: f"{max(values):,}" for name, values in lines.items()}
    most["cost"] = money(max(lines["cost"]))
    drawn = [
        Text(f"{name:9}{sparkline(values)}  {most[name]} at most")
        for name, values in lines.items()
        if any(values)
    ]
    span = f"{_day(summary['since'])} to {_day(summary['until'])} (UTC)"
    return [*drawn, Text(f"{'':9}{span}, a column is {_width(summary)}", style="dim")]


def _columns(summary: Summary) -> list[list[Mapping[str, Any]]]:
    """The points of the series by column, with the buckets in which there was nothing."""
    width_s: int = summary["width_s"] * _buckets_a_column(summary)
    count = math.ceil((summary["until"] - summary["since"]) / width_s)
    columns: list[list[Mapping[str, Any]]] = [[] for _ in range(count)]
    for point in summary["series"]:
        columns[(point["start_time"] - summary["since"]) // width_s].append(point)
    return columns


def _buckets_a_column(summary: Summary) -> int:
    buckets: float = (summary["until"] - summary["since"]) / summary["width_s"]
    return max(1, math.ceil(buckets / WIDEST))


def _width(summary: Summary) -> str:
    width_s = summary["width_s"] * _buckets_a_column(summary)
    for unit, unit_s in (("day", DAY_S), ("hour", 3600), ("minute", 60)):
        if width_s % unit_s == 0:
            count = width_s // unit_s
            return f"a {unit}" if count == 1 else f"{count} {unit}s"
    return f"{width_s} s"


def sparkline(values: Sequence[float]) -> str:
    """A block a value, as high as it is; a space for nothing."""
    most = max(values, default=0) or 1
    return "".join(
        BLOCKS[min(len(BLOCKS) - 1, int(value / most * len(BLOCKS)))] if value > 0 else " "
        for value in values
    )


def _day(at: int) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%d}" if at % DAY_S == 0 else f"{moment:%Y-%m-%d %H:%M}"
