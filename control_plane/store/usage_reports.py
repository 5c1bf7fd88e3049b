"""What was used, summed up: from the roll-ups, or from the events for what those do not know."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Table,
    case,
    cast,
    func,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.usage_tables import usage_events, usage_rollups
from serving.contract.usage import Status

USER, KEY = "user:", "key:"  # how principals begin
PROJECT_ID, USER_ID, KEY_ID = "project_id", "user_id", "api_key_id"  # OpenAI's words
TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
IN_ROLLUPS = frozenset({"tenant", "project", "principal", "model", "adapter"})


@dataclass(frozen=True, slots=True)
class Where:
    """Which usage: from `begin` until before `end`, in Unix time. None: of all.

    `principals` are whole ids; of several lists an event must be in each.
    """

    begin: float
    end: float
    tenant: str | None = None
    projects: tuple[str, ...] | None = None
    principals: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Usage of one bucket of time, or of all of it, and one combination of what was grouped by."""

    bucket: float | None
    labels: dict[str, str | None]
    requests: int
    refused: int
    lost: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cost_nusd: int
    ttft_ms: float | None
    latency_ms: float | None


async def over_time(
    session: AsyncSession, where: Where, by: Sequence[str], granularity: str
) -> list[Group]:
    """By bucket, in order of time. `by` are of IN_ROLLUPS or OpenAI's words."""
    bucket = usage_rollups.c.bucket
    query = _grouped(usage_rollups, where, by, granularity).add_columns(bucket).group_by(bucket)
    found = await session.execute(query.order_by(bucket, *_labels(usage_rollups, by)))
    return [_group(row, by) for row in found]


async def largest(
    session: AsyncSession,
    where: Where,
    by: Sequence[str],
    granularity: str,
    limit: int | None = None,
) -> list[Group]:
    """The groups of the whole time, by cost, then by tokens and requests; at most `limit`.

    The roll-ups of `granularity` answer when they know all of `by`; else the events do.
    """
    table = usage_rollups if IN_ROLLUPS.issuperset(by) else usage_events
    query = _grouped(table, where, by, granularity)
    weight = [query.selected_columns[name].desc() for name in ("cost_nusd", "tokens", "requests")]
    found = await session.execute(query.order_by(*weight, *_labels(table, by)).limit(limit))
    return [_group(row, by) for row in found]


def _grouped(
    table: Table, where: Where, by: Sequence[str], granularity: str
) -> Select[tuple[Any, ...]]:
    is_of_rollups = table is usage_rollups
    sums = _rollup_sums() if is_of_rollups else _event_sums()
    labels = _labels(table, by)
    query = select(*labels, *(sum_.label(name) for name, sum_ in sums.items()))
    query = query.where(*conditions(table, where)).group_by(*labels)
    if is_of_rollups:
        query = query.where(usage_rollups.c.granularity == granularity)
    # Where a settled event took the place of a lost one there may be rows of nothing.
    return query.having(sums["requests"] > 0)


def _labels(table: FromClause, by: Sequence[str]) -> list[ColumnElement[Any]]:
    return [_label(table, name).label(f"by_{name}") for name in by]


def _label(table: FromClause, name: str) -> ColumnElement[Any]:
    columns = table.c
    if name in (USER_ID, KEY_ID):
        return _after(columns.principal, USER if name == USER_ID else KEY)
    column = columns["project" if name == PROJECT_ID else name]
    return func.nullif(column, literal_column("''")) if name in ("model", "adapter") else column


def _after(principal: ColumnElement[str], prefix: str) -> ColumnElement[Any]:
    # As literals: PostgreSQL does not see that parameters of SELECT and GROUP BY are equal.
    begin: ColumnElement[str] = literal_column(f"'{prefix}%'")
    rest: ColumnElement[int] = literal_column(str(len(prefix) + 1))
    return case((principal.like(begin), func.substr(principal, rest)))


def conditions(table: Table, where: Where) -> list[ColumnElement[bool]]:
    columns = table.c
    at = columns.bucket if table is usage_rollups else columns.began_at
    found: list[ColumnElement[bool]] = [at >= where.begin, at < where.end]
    if where.tenant is not None:
        found.append(columns.tenant == where.tenant)
    lists = {"project": where.projects, "principal": where.principals, "model": where.models}
    return found + [
        columns[name].in_(values) for name, values in lists.items() if values is not None
    ]


def _rollup_sums() -> dict[str, ColumnElement[Any]]:
    columns = usage_rollups.c
    statuses: list[ColumnElement[Any]] = [columns[status.value] for status in Status]
    requests = reduce(add, statuses)
    tokens = {name: _sum(columns[name]) for name in TOKENS}
    return {
        "requests": _sum(requests),
        "refused": _sum(columns.refused),
        "lost": _sum(columns.lost),
        **tokens,
        "tokens": tokens["prompt_tokens"] + tokens["completion_tokens"],
        "cost_nusd": _sum(columns.cost_nusd),
        "ttft_ms": _mean_ms(columns.ttft_us, columns.ttft_count),
        "latency_ms": _mean_ms(columns.latency_us, columns.latency_count),
    }


def _event_sums() -> dict[str, ColumnElement[Any]]:
    columns = usage_events.c
    tokens = {name: _sum(columns[name]) for name in TOKENS}
    return {
        "requests": func.count(),
        "refused": func.count().filter(columns.status == Status.REFUSED.value),
        "lost": func.count().filter(columns.status == Status.LOST.value),
        **tokens,
        "tokens": tokens["prompt_tokens"] + tokens["completion_tokens"],
        "cost_nusd": _sum(columns.cost_nusd),
        "ttft_ms": func.avg(columns.ttft_ms),
        "latency_ms": func.avg(columns.latency_ms),
    }


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(column), literal_column("0")), BigInteger)


def _mean_ms(total_us: ColumnElement[int], count: ColumnElement[int]) -> ColumnElement[Any]:
    return func.sum(total_us) / func.nullif(func.sum(count), 0) / literal_column("1000.0")


def _group(row: Row[tuple[Any, ...]], by: Sequence[str]) -> Group:
    fields = row._asdict()
    labels = {name: fields.pop(f"by_{name}") for name in by}
    del fields["tokens"]
    means: dict[str, Any] = {name: _number(fields.pop(name)) for name in ("ttft_ms", "latency_ms")}
    return Group(bucket=fields.pop("bucket", None), labels=labels, **fields, **means)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
