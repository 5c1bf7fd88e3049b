"""The usage workers of one process, put together."""

from collections.abc import Coroutine
from typing import Any

from control_plane.plane import ControlPlane
from control_plane.usage.budgets import Budgets
from control_plane.usage.consumer import Consumer
from control_plane.usage.contents import ContentStore
from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.patience import repeatedly
from control_plane.usage.reaper import Reaper
from control_plane.usage.retention import Retention
from control_plane.usage.settings import UsageSettings
from control_plane.usage.worker import UsageWorker
from serving.adapters.content_stream import ContentStream
from serving.adapters.quotas import Quotas
from serving.adapters.spent import SpentCounters
from serving.adapters.usage_stream import UsageStream

LEASE_S = 30.0  # only for who takes leases: a reaper takes none


def usage_workers(
    plane: ControlPlane, settings: UsageSettings
) -> tuple[Coroutine[Any, Any, None], ...]:
    """Each runs until it is cancelled, also while PostgreSQL or Redis is away."""
    database, policy, redis = plane.database, plane.policy, plane.redis
    metrics = UsageMetrics(plane.metrics.registry)
    events = UsageWorker(database, policy, metrics)
    contents = ContentStore(database, policy, metrics)
    reaper = Reaper(Quotas(redis, lease_s=LEASE_S), UsageStream(redis), metrics)
    budgets = Budgets(SpentCounters(redis), database, policy, settings.budgets_every_s)
    retention = Retention(database, policy, metrics)
    return (
        Consumer(UsageStream(redis), events.store, metrics, settings).run(),
        Consumer(ContentStream(redis), contents.store, metrics, settings).run(),
        repeatedly(reaper.step, settings.reap_every_s, metrics),
        repeatedly(budgets.step, settings.reap_every_s, metrics),
        repeatedly(retention.step, settings.retention_every_s, metrics),
    )
