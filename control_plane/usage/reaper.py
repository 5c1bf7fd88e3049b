"""Ends the leases of gateways that died, and watches how far behind the database is."""

import time
from dataclasses import dataclass

import structlog

from control_plane.usage.metrics import UsageMetrics
from serving.adapters.quotas import Quotas
from serving.adapters.usage_stream import UsageStream

log: structlog.stdlib.BoundLogger = structlog.get_logger("usage")


@dataclass(frozen=True, slots=True)
class Reaper:
    """One of possibly many: a lease is ended once, whoever asks."""

    quotas: Quotas
    stream: UsageStream
    metrics: UsageMetrics

    async def step(self) -> None:
        """Raises StoreUnavailable."""
        while reaped := await self.quotas.reap(time.time()):
            self.metrics.reaped.inc(reaped)
            log.warning("leases_reaped", count=reaped)
        self.metrics.lag.set(await self.stream.lag())
