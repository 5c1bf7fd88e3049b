"""What events add to the sums by minute, hour and day. Pure.

Sums are whole numbers, so that what is added can be taken away again without a rest.
"""

from collections import defaultdict
from collections.abc import Iterable
from operator import add
from typing import NamedTuple

from serving.contract.errors import ModelNotFound
from serving.contract.usage import Status, UsageEvent

MINUTE, HOUR, DAY = "minute", "hour", "day"
WIDTH_S = {MINUTE: 60, HOUR: 3600, DAY: 86400}  # Unix time: days begin at midnight in UTC

KEPT_S = {MINUTE: 14 * 86400, HOUR: 400 * 86400}  # days are kept for good


class Cell(NamedTuple):
    """What is summed up together; `bucket` is the Unix time it begins at. No adapter: ""."""

    granularity: str
    bucket: int
    tenant: str
    project: str
    principal: str
    model: str
    adapter: str


class Sums(NamedTuple):
    """Requests by status; tokens; money; times in microseconds, and how many requests had them."""

    ok: int = 0
    cancelled: int = 0
    failed: int = 0
    refused: int = 0
    lost: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nusd: int = 0
    ttft_us: int = 0
    ttft_count: int = 0
    latency_us: int = 0
    latency_count: int = 0

    def plus(self, other: "Sums") -> "Sums":
        return Sums._make(map(add, self, other))

    def negative(self) -> "Sums":
        return Sums._make(-value for value in self)


NOTHING = Sums()


def rolled_up(
    added: Iterable[UsageEvent], removed: Iterable[UsageEvent] = ()
) -> list[tuple[Cell, Sums]]:
    """The differences that the events make to all cells they are in, in the order of the cells.

    Who changes cells in one order never waits for another one in a circle.
    """
    minutes: defaultdict[Cell, Sums] = defaultdict(Sums)
    for event in added:
        cell = _minute_of(event)
        minutes[cell] = minutes[cell].plus(_sums_of(event))
    for event in removed:
        cell = _minute_of(event)
        minutes[cell] = minutes[cell].plus(_sums_of(event).negative())
    cells = minutes | _widened(minutes, HOUR) | _widened(minutes, DAY)
    return sorted((cell, sums) for cell, sums in cells.items() if sums != NOTHING)


def begin_of(time: float, granularity: str) -> int:
    """When the bucket began that `time` is in."""
    width_s = WIDTH_S[granularity]
    return int(time // width_s) * width_s


def _widened(minutes: dict[Cell, Sums], granularity: str) -> dict[Cell, Sums]:
    wider: defaultdict[Cell, Sums] = defaultdict(Sums)
    for minute, sums in minutes.items():
        bucket = begin_of(minute.bucket, granularity)
        cell = minute._replace(granularity=granularity, bucket=bucket)
        wider[cell] = wider[cell].plus(sums)
    return wider


def _minute_of(event: UsageEvent) -> Cell:
    # A model that there is none of may have any name: clients shall not make rows of their own.
    model = "" if event.reason == ModelNotFound.code else event.model
    return Cell(
        MINUTE,
        begin_of(event.began_at, MINUTE),
        event.tenant,
        event.project,
        event.principal,
        model,
        event.adapter or "",
    )


def _sums_of(event: UsageEvent) -> Sums:
    tokens = (
        event.prompt_tokens,
        event.cached_tokens,
        event.completion_tokens,
        event.reasoning_tokens,
    )
    statuses = (int(event.status is status) for status in Status)
    times = (*_time_us(event.ttft_ms), *_time_us(event.latency_ms))
    return Sums._make((*statuses, *tokens, event.cost_nusd, *times))


def _time_us(time_ms: float | None) -> tuple[int, int]:
    return (0, 0) if time_ms is None else (round(time_ms * 1000), 1)
