"""Stores how requests ended, off their path: in Redis, or on local disk while that is away."""

import asyncio

import structlog

from gateway.quota_metrics import QuotaMetrics
from gateway.spool import Spool, SpoolFailed
from gateway.store_watch import StoreWatch
from serving.adapters.quotas import Quotas
from serving.adapters.redis import StoreUnavailable
from serving.contract.quota import Reservation
from serving.contract.usage import Status, UsageEvent

MOST_WAITING = 10_000
DISK_RETRY_S = 1.0
log: structlog.stdlib.BoundLogger = structlog.get_logger("quota")


class Settler:
    """Every event it is given is stored, or its lease is left to the reaper.

    But for refused requests: while too much waits, theirs are dropped and counted.
    """

    def __init__(
        self, quotas: Quotas, spool: Spool, watch: StoreWatch, metrics: QuotaMetrics
    ) -> None:
        self._quotas = quotas
        self._spool = spool
        self._watch = watch
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        metrics.unsettled.set_function(lambda: float(len(self._tasks)))

    @property
    def is_full(self) -> bool:
        return len(self._tasks) >= MOST_WAITING

    def end(self, event: UsageEvent, wanted: Reservation | None) -> None:
        """Returns at once, so that a task that is being cancelled can call it."""
        if self.is_full and event.status is Status.REFUSED:
            self._metrics.dropped.inc()
            return
        task = asyncio.create_task(self._stored(event, wanted))
        self._tasks.add(task)  # until `drain` has seen it
        task.add_done_callback(self._tasks.discard)

    async def drain(self, timeout_s: float | None) -> bool:
        """Whether all is stored that has been given so far."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        return not self._tasks

    def close(self) -> None:
        """What the disk does not take now is given up."""
        self._is_closing = True

    async def _stored(self, event: UsageEvent, wanted: Reservation | None) -> None:
        try:
            while not (await self._in_redis(event, wanted) or await self._on_disk(event)):
                if self._is_closing:
                    log.error("usage_left_to_the_reaper", event_id=event.id)
                    return
                await asyncio.sleep(DISK_RETRY_S)
        except Exception:
            log.exception("usage_not_stored", event_id=event.id)

    async def _in_redis(self, event: UsageEvent, wanted: Reservation | None) -> bool:
        if not self._watch.is_up:
            return False
        try:
            if wanted is None:
                await self._quotas.record(event)
            else:
                has_model_lease = wanted.model_limits is not None
                await end(self._quotas, event, has_model_lease=has_model_lease)
        except StoreUnavailable as error:
            self._watch.failed(error)
            return False
        self._spool.forget(event.id)
        return True

    async def _on_disk(self, event: UsageEvent) -> bool:
        if self._spool.is_full and event.status is Status.REFUSED:
            self._metrics.dropped.inc()
            return True
        try:
            await self._spool.ended(event)
        except SpoolFailed as error:
            log.warning("spool_failed", reason=str(error))
            return False
        return True


async def end(quotas: Quotas, event: UsageEvent, *, has_model_lease: bool = False) -> None:
    """Settle `event`, or record it when its lease is gone. Raises StoreUnavailable."""
    if not await quotas.settle(event, has_model_lease=has_model_lease):
        await quotas.record(event)
