"""OpenAI's usage and costs pages: the roll-ups by bucket, in what the caller may see."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import usage_reports
from control_plane.store.usage_reports import KEY, USER, Group, Where
from control_plane.usage.query import (
    GRANULARITY,
    PAGE_PREFIX,
    BucketsQuery,
    CompletionsQuery,
    CostsQuery,
)
from control_plane.usage.rollup import DAY, WIDTH_S, begin_of
from control_plane.usage.schemas import Amount, Bucket, CompletionsResult, CostsResult, Page, R
from control_plane.usage.sight import seen_by
from serving.contract.principal import Principal

NUSD = 10**9


class Cut(NamedTuple):
    """A page's whole buckets, from `begin` until before `end`; what is asked for goes to `stop`."""

    begin: int
    end: int
    stop: int
    width_s: int


async def completions(
    session: AsyncSession, caller: Principal, query: CompletionsQuery, now: float
) -> Page[CompletionsResult]:
    granularity = GRANULARITY[query.bucket_width]
    cut = _cut(query, query.buckets, granularity, now)
    groups: list[Group] = []
    if query.batch is not True:  # no request is a batch job's yet
        by = [name for name in query.group_by if name != "batch"]
        where = _where(caller, query, cut, query.models)
        groups = await usage_reports.over_time(session, where, by, granularity)
    is_batch = False if "batch" in query.group_by else None
    served = [group for group in groups if group.requests > group.refused]
    return _page(cut, served, lambda group: _completions_result(group, is_batch))


async def costs(
    session: AsyncSession, caller: Principal, query: CostsQuery, now: float
) -> Page[CostsResult]:
    cut = _cut(query, query.buckets, DAY, now)
    columns = {"line_item": ("model", "adapter")}
    by = [column for name in query.group_by for column in columns.get(name, (name,))]
    groups = await usage_reports.over_time(session, _where(caller, query, cut, None), by, DAY)
    return _page(cut, groups, _costs_result)


def _cut(query: BucketsQuery, buckets: int, granularity: str, now: float) -> Cut:
    width_s = WIDTH_S[granularity]
    begin = begin_of(query.begin, granularity)
    stop = max(begin, int(now) + 1 if query.end_time is None else query.end_time)
    whole_stop = begin_of(stop + width_s - 1, granularity)
    return Cut(begin, min(begin + buckets * width_s, whole_stop), stop, width_s)


def _where(
    caller: Principal, query: BucketsQuery, cut: Cut, models: tuple[str, ...] | None
) -> Where:
    return seen_by(
        caller,
        Where(
            cut.begin,
            cut.end,
            projects=query.project_ids,
            principals=_principals(query.user_ids, query.api_key_ids),
            models=models,
        ),
    )


def _principals(
    users: tuple[str, ...] | None, keys: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """A request is of a user or of a key: none is of both."""
    if users is None and keys is None:
        return None
    if users is not None and keys is not None:
        return ()
    return tuple(f"{USER}{id_}" for id_ in users or ()) + tuple(f"{KEY}{id_}" for id_ in keys or ())


def _page(cut: Cut, groups: Iterable[Group], result: Callable[[Group], R]) -> Page[R]:
    results: defaultdict[int, list[R]] = defaultdict(list)
    for group in groups:
        assert group.bucket is not None
        results[int(group.bucket)].append(result(group))
    data = [
        Bucket(start_time=begin, end_time=begin + cut.width_s, results=results[begin])
        for begin in range(cut.begin, cut.end, cut.width_s)
    ]
    has_more = cut.end < cut.stop
    return Page(
        data=data, has_more=has_more, next_page=f"{PAGE_PREFIX}{cut.end}" if has_more else None
    )


def _completions_result(group: Group, is_batch: bool | None) -> CompletionsResult:
    labels = group.labels
    return CompletionsResult(
        input_tokens=group.prompt_tokens,
        output_tokens=group.completion_tokens,
        input_cached_tokens=group.cached_tokens,
        input_uncached_tokens=group.prompt_tokens - group.cached_tokens,
        num_model_requests=group.requests - group.refused,
        project_id=labels.get("project_id"),
        user_id=labels.get("user_id"),
        api_key_id=labels.get("api_key_id"),
        model=labels.get("model"),
        batch=is_batch,
    )


def _costs_result(group: Group) -> CostsResult:
    labels = group.labels
    line_item = ", ".join(filter(None, (labels.get("model"), labels.get("adapter"))))
    return CostsResult(
        amount=Amount(value=group.cost_nusd / NUSD),
        line_item=line_item or None,
        project_id=labels.get("project_id"),
        user_id=labels.get("user_id"),
        api_key_id=labels.get("api_key_id"),
    )
