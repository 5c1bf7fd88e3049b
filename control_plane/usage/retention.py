"""Deletes what was kept for as long as its project wants it, and what nobody reads any more."""

import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass

import structlog

from control_plane.policy_copy import PolicyCopy
from control_plane.store import usage_retention
from control_plane.store.database import Database
from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.rollup import KEPT_S
from serving.identity.directory import Directory

DAY_S = 86400
# An event that comes again is known by the one that is kept: that must still be there.
FEWEST_EVENT_DAYS = 2
Removal = tuple[str, Awaitable[int]]  # of what kind of rows, and how many were deleted
log: structlog.stdlib.BoundLogger = structlog.get_logger("usage")


@dataclass(frozen=True, slots=True)
class Retention:
    """One of possibly many: none waits for another, and nothing is deleted twice."""

    database: Database
    policy: PolicyCopy
    metrics: UsageMetrics

    async def step(self) -> None:
        """Raises Unavailable; what was deleted until then is deleted."""
        async with self.database.session() as session:
            directory = await self.policy.fresh(session)
            projects = await usage_retention.projects(session)
        now = time.time()
        for tenant, project in projects:
            for kind, removal in self._of_project(directory, tenant, project, now):
                self._count(kind, await removal)
        for kind, removal in self._of_all(directory, now):
            self._count(kind, await removal)

    def _of_project(
        self, directory: Directory, tenant: str, project: str, now: float
    ) -> Iterator[Removal]:
        days = directory.retention_days_of(project)
        texts_before = now - days * DAY_S
        events_before = now - max(days, FEWEST_EVENT_DAYS) * DAY_S
        yield "contents", usage_retention.contents(self.database, project, texts_before)
        yield "events", usage_retention.events(self.database, tenant, project, events_before)

    def _of_all(self, directory: Directory, now: float) -> Iterator[Removal]:
        letters_before = now - directory.settings.retention_days * DAY_S
        yield "dead_letters", usage_retention.dead_letters(self.database, letters_before)
        yield "contents", usage_retention.expired_contents(self.database, now)
        for granularity, kept_s in KEPT_S.items():
            yield "rollups", usage_retention.rollups(self.database, granularity, now - kept_s)

    def _count(self, kind: str, removed: int) -> None:
        if removed:
            self.metrics.removed.labels(kind).inc(removed)
            log.info("usage_removed", kind=kind, rows=removed)
