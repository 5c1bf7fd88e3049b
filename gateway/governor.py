"""Holds requests to their quotas, and sees to it that each ends in one usage event.

What cannot be said to Redis is written to local disk, and said when Redis is back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.allowance import Allowance
from gateway.budget_warnings import BudgetWarnings
from gateway.estimates import Estimates
from gateway.quota_metrics import QuotaMetrics
from gateway.replay import Replay
from gateway.settler import Settler
from gateway.spool import Spool, SpoolFailed
from gateway.store_watch import StoreWatch
from gateway.upkeep import Lease, Upkeep
from serving.adapters.quotas import Quotas
from serving.adapters.redis import Redis, StoreUnavailable
from serving.adapters.redis_lane import lane
from serving.adapters.redis_wire import TIMEOUT_S
from serving.contract.errors import QuotaRequests, QuotaUnavailable
from serving.contract.policy import OnRedisDown, Settings
from serving.contract.quota import Admission, Refusal, Reservation
from serving.contract.task_errors import bare_errors
from serving.contract.usage import UsageEvent

GRACE_S = 2.0


class Governor:
    """One a process. After each `admit`, however it came out, `end` is called once."""

    def __init__(
        self,
        quotas: Quotas,
        spool: Spool,
        watch: StoreWatch,
        settler: Settler,
        metrics: QuotaMetrics,
    ) -> None:
        self.estimates = Estimates()
        self.metrics = metrics
        self._quotas = quotas
        self._spool = spool
        self._watch = watch
        self._settler = settler
        self._allowance = Allowance()
        self.warn = BudgetWarnings().tell
        self._running: dict[str, Lease] = {}
        self._is_quiet = asyncio.Event()
        self._is_quiet.set()
        metrics.is_redis_up.set_function(lambda: float(watch.is_up))
        metrics.spool_bytes.set_function(lambda: float(spool.bytes))

    @property
    def leases(self) -> Iterable[Lease]:
        return self._running.values()

    async def admit(
        self, wanted: Reservation, settings: Settings, so_far: Callable[[], UsageEvent]
    ) -> Admission | Refusal:
        """Take what `wanted` says, in one round trip. Raises QuotaUnavailable.

        When it raises, also CancelledError, a lease may have been taken all the same.
        """
        if self._settler.is_full:
            raise QuotaUnavailable("too many requests wait to be settled; try again soon")
        given = await self._asked(wanted) or await self._unasked(wanted.event, settings)
        if isinstance(given, Admission):
            self._running[wanted.event.id] = Lease(wanted, so_far, time.monotonic())
            self._is_quiet.clear()
        return given

    def end(self, event: UsageEvent, wanted: Reservation | None) -> None:
        """Store how a request ended; returns at once. Without `wanted` it surely has no lease."""
        self._running.pop(event.id, None)
        if not self._running:
            self._is_quiet.set()
        self._settler.end(event, wanted)

    async def quiet(self) -> None:
        """Until nothing runs."""
        await self._is_quiet.wait()

    async def _asked(self, wanted: Reservation) -> Admission | Refusal | None:
        """None when Redis does not say."""
        if not self._watch.is_up:
            return None
        began_s = time.perf_counter()
        try:
            given = await self._quotas.reserve(wanted)
        except StoreUnavailable as error:
            self._watch.failed(error)
            return None
        self.metrics.round_trip.observe(time.perf_counter() - began_s)
        return given

    async def _unasked(self, event: UsageEvent, settings: Settings) -> Admission | Refusal:
        """What the operator's policy says of a request while Redis is away."""
        if settings.on_redis_down is OnRedisDown.REFUSE:
            raise QuotaUnavailable("quotas cannot be asked for at the moment; try again soon")
        per_minute = settings.allowance_requests_per_minute
        wait_s = self._allowance.take(event.tenant, per_minute, time.monotonic())
        if wait_s:
            return _over_allowance(event.tenant, per_minute, wait_s)
        await self._keep(event)
        self.metrics.allowed.inc()
        return Admission()

    async def _keep(self, event: UsageEvent) -> None:
        """On disk, so that it is known of if this process dies."""
        try:
            if not self._spool.is_full:
                await self._spool.began(event)
                return
        except SpoolFailed:
            pass
        raise QuotaUnavailable("usage cannot be kept at the moment; try again later")


def _over_allowance(tenant: str, per_minute: int, wait_s: float) -> Refusal:
    error = QuotaRequests(
        f"quotas cannot be asked for at the moment, and until they can be tenant '{tenant}' is "
        f"limited to {per_minute} requests a minute"
    )
    error.retry_after_s = wait_s
    return Refusal(error, wait_s)


@asynccontextmanager
async def open_governor(
    redis: Redis,
    folder: Path,
    metrics: QuotaMetrics,
    *,
    lease_s: float,
    timeout_s: float = TIMEOUT_S,
) -> AsyncIterator[Governor]:
    """For as long as the process serves. Raises OSError when `folder`, the spool, is of no use.

    At the end what is still to be stored goes to Redis within GRACE_S, or else to disk.
    """
    spool, watch = Spool(folder), StoreWatch()
    async with lane(redis, timeout_s=timeout_s) as shared:
        quotas = Quotas(redis, lease_s=lease_s, lane=shared)
        settler = Settler(quotas, spool, watch, metrics)
        governor = Governor(quotas, spool, watch, settler, metrics)
        replay = Replay(spool, quotas)
        upkeep = Upkeep(quotas, replay, watch, lambda: governor.leases, lease_s)
        try:
            with bare_errors():
                async with asyncio.TaskGroup() as group:
                    duties = upkeep.start(group)
                    yield governor
                    for duty in duties:
                        duty.cancel()
        finally:
            await _settle_all(governor, settler, shared.close)
            replay.close()
            await spool.close()


async def _settle_all(governor: Governor, settler: Settler, close_lane: Callable[[], None]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            await governor.quiet()  # requests that were just cancelled say how they ended
    if not await settler.drain(GRACE_S):
        settler.close()
        close_lane()
        await settler.drain(None)
