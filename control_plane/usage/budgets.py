"""Keeps Redis from knowing of less money spent this month than the database does."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from control_plane.policy_copy import PolicyCopy
from control_plane.store import usage_reports
from control_plane.store.database import Database
from control_plane.store.usage_reports import Group, Where
from control_plane.usage.rollup import DAY
from serving.adapters.spent import SpentCounters, SpentScope
from serving.contract.policy import NO_LIMITS, Key, Limits, Model, Project, Tenant, User
from serving.identity.directory import Directory

BY = ("tenant", "project", "principal", "model")
log: structlog.stdlib.BoundLogger = structlog.get_logger("usage")


@dataclass(frozen=True, slots=True)
class Budgets:
    """Every so often, and at once when Redis has come back without what it knew.

    Events that were not in the database yet are missing until the next time.
    """

    counters: SpentCounters
    database: Database
    policy: PolicyCopy
    every_s: float

    async def step(self) -> None:
        """Raises Unavailable or StoreUnavailable."""
        if await self.counters.are_known():
            return
        begin, end, month = month_of(time.time())
        spent = await self._spent(begin, end)
        if raised := await self.counters.seed(month, spent):
            log.info("budgets_raised", scopes=raised)
        await self.counters.mark(self.every_s)

    async def _spent(self, begin: float, end: float) -> dict[SpentScope, int]:
        async with self.database.session() as session:
            directory = await self.policy.fresh(session)
            if not has_budgets(directory):
                return {}
            groups = await usage_reports.largest(session, Where(begin, end), BY, DAY)
            return spent_by_scope(groups, directory)


def month_of(now: float) -> tuple[float, float, int]:
    """When the calendar month in UTC begins and ends, and its number, as 202511."""
    at = datetime.fromtimestamp(now, UTC)
    begin = datetime(at.year, at.month, 1, tzinfo=UTC)
    end = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
    return begin.timestamp(), end.timestamp(), at.year * 100 + at.month


def has_budgets(directory: Directory) -> bool:
    """Whether there is any money to count."""
    return any(map(_is_budget, _all_limits(directory)))


def _all_limits(directory: Directory) -> Iterator[Limits]:
    for tenant in directory.each(Tenant):
        yield tenant.limits
        yield from tenant.model_limits.values()
    yield from (project.limits for project in directory.each(Project))
    yield from (key.limits for key in directory.each(Key))
    yield from (user.limits for user in directory.each(User))
    yield from (model.limits for model in directory.each(Model))


def spent_by_scope(groups: Iterable[Group], directory: Directory) -> dict[SpentScope, int]:
    """What was spent in each scope that has a budget; `groups` are by BY."""
    spent: defaultdict[SpentScope, int] = defaultdict(int)
    for group in groups:
        for scope in _scopes_of(group.labels):
            spent[scope] += group.cost_nusd
    return {scope: nusd for scope, nusd in spent.items() if _is_budget(_limits(directory, scope))}


def _scopes_of(labels: Mapping[str, str | None]) -> list[SpentScope]:
    project, principal, model = (str(labels[name]) for name in ("project", "principal", "model"))
    own = [principal, f"project:{project}", "tenant", f"model:{model}"]
    return [*(SpentScope(labels["tenant"], name) for name in own), SpentScope(None, model)]


def _limits(directory: Directory, scope: SpentScope) -> Limits:
    tenant = None if scope.tenant is None else directory.tenant(scope.tenant)
    if scope.tenant is None:
        return directory.model(scope.name).limits
    kind, _, id_ = scope.name.partition(":")
    if kind == "model":
        return NO_LIMITS if tenant is None else tenant.model_limits.get(id_, NO_LIMITS)
    finds: dict[str, Callable[[str], Tenant | Project | Key | User | None]] = {
        "tenant": lambda _: tenant,
        "project": directory.project,
        "key": directory.key,
        "user": directory.user_by_id,
    }
    document = finds[kind](id_)
    return NO_LIMITS if document is None else document.limits


def _is_budget(limits: Limits) -> bool:
    return limits.budget_nusd is not None or limits.soft_budget_nusd is not None
