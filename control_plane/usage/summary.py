"""The summary of a span of time: its costliest groups, its totals, and how it went over time."""

import math
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import usage_reports
from control_plane.store.usage_reports import Group, Where
from control_plane.usage.query import SpanQuery, SummaryQuery
from control_plane.usage.rollup import WIDTH_S, begin_of
from control_plane.usage.schemas import Summary, SummaryGroup, SummaryPoint, Totals
from control_plane.usage.sight import seen_by
from control_plane.usage.times import granularity_for, moment
from serving.contract.errors import InvalidRequest
from serving.contract.principal import Principal

NUSD = 10**9


def span_of(caller: Principal, query: SpanQuery, now: float) -> Where:
    """What the query asks for and the caller may see; raises InvalidRequest for times it cannot
    read."""
    begin = _moment("since", query.since, now)
    end = now if query.until is None else _moment("until", query.until, now)
    return seen_by(caller, Where(begin, end, projects=query.project_ids, models=query.models))


def _moment(param: str, text: str, now: float) -> float:
    try:
        return moment(text, now)
    except ValueError as error:
        raise InvalidRequest(f"'{param}': {error}", param=param) from None


async def summary(
    session: AsyncSession, caller: Principal, query: SummaryQuery, now: float
) -> Summary:
    asked = span_of(caller, query, now)
    granularity = granularity_for(asked.begin, asked.end, now)
    width_s = WIDTH_S[granularity]
    # Whole buckets, so that groups and series sum up to the same.
    begin = begin_of(asked.begin, granularity)
    end = max(begin, math.ceil(asked.end / width_s) * width_s)
    where = replace(asked, begin=begin, end=end)
    groups = await usage_reports.largest(session, where, query.by, granularity, query.limit + 1)
    (totals,) = await usage_reports.largest(session, where, (), granularity, 1) or [_NOTHING]
    series = await usage_reports.over_time(session, where, (), granularity)
    return Summary(
        since=begin,
        until=end,
        by=list(query.by),
        groups=[SummaryGroup(by=g.labels, **_totals(g)) for g in groups[: query.limit]],
        has_more=len(groups) > query.limit,
        totals=Totals(**_totals(totals)),
        width_s=width_s,
        series=[SummaryPoint(start_time=int(p.bucket or 0), **_totals(p)) for p in series],
    )


_NOTHING = Group(None, {}, 0, 0, 0, 0, 0, 0, 0, 0, None, None)


def _totals(group: Group) -> dict[str, Any]:
    sums = asdict(group) | {"cost_usd": group.cost_nusd / NUSD}
    return {name: value for name, value in sums.items() if name not in ("bucket", "labels")}
