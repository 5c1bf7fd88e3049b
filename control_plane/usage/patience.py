"""Goes on trying while PostgreSQL or Redis is away: what was in hand stays in hand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from control_plane.backoff import pause_s
from control_plane.usage.metrics import UsageMetrics
from serving.adapters.redis import StoreUnavailable
from serving.contract.errors import Unavailable

T = TypeVar("T")
log: structlog.stdlib.BoundLogger = structlog.get_logger("usage")


async def patiently(act: Callable[[], Awaitable[T]], metrics: UsageMetrics) -> T:
    """The result of `act`, which may be called again and again until it has one."""
    failures = 0
    while True:
        try:
            return await act()
        except (Unavailable, StoreUnavailable) as error:
            failures += 1
            away = "redis" if isinstance(error, StoreUnavailable) else "database"
            metrics.failures.labels(away).inc()
            if failures == 1:
                log.warning("usage_waits", away=away, reason=str(error))
            await asyncio.sleep(pause_s(failures))


async def repeatedly(
    act: Callable[[], Awaitable[None]], every_s: float, metrics: UsageMetrics
) -> None:
    """Calls `act` until it is cancelled. A defect in it is logged, and not the end of it."""
    while True:
        try:
            await patiently(act, metrics)
        except Exception:
            log.exception("usage_task_failed")
        await asyncio.sleep(every_s)
