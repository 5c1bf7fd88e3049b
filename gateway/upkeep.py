"""What has to be done again and again for the quotas of a process, for as long as it serves."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from gateway.replay import Replay
from gateway.spool import SpoolFailed
from gateway.store_watch import StoreWatch
from serving.adapters.quotas import Quotas
from serving.adapters.redis import StoreUnavailable
from serving.contract.quota import Reservation
from serving.contract.usage import UsageEvent

RENEWED_AT_ONCE = 100
SWEEP_S = 5.0
log: structlog.stdlib.BoundLogger = structlog.get_logger("quota")


@dataclass(frozen=True, slots=True)
class Lease:
    """A request that Redis let in and that runs. `so_far` is its event if it were lost now."""

    wanted: Reservation
    so_far: Callable[[], UsageEvent]
    since_s: float


@dataclass(frozen=True, slots=True)
class Upkeep:
    """`leases` are those that run at the moment."""

    quotas: Quotas
    replay: Replay
    watch: StoreWatch
    leases: Callable[[], Iterable[Lease]]
    lease_s: float

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Tasks that run until they are cancelled."""
        nudges = [asyncio.Event(), asyncio.Event()]

        def back() -> None:
            for nudge in nudges:
                nudge.set()

        return [
            group.create_task(self._again(self.renew, self.lease_s / 3, nudges[0])),
            group.create_task(self._again(self.sweep, SWEEP_S, nudges[1])),
            group.create_task(self.watch.run(self.quotas.ping, back)),
        ]

    async def renew(self) -> None:
        """Tell Redis that what runs still runs, and what it has used so far."""
        # Those that end before the next turn need none; it comes long before they expire.
        old_s = time.monotonic() - self.lease_s / 4
        due = [lease for lease in self.leases() if lease.since_s <= old_s]
        for first in range(0, len(due), RENEWED_AT_ONCE):
            await self._renew(due[first : first + RENEWED_AT_ONCE])

    async def _renew(self, leases: Iterable[Lease]) -> None:
        wanted = [lease.wanted for lease in leases]
        of_models = {one.event.id for one in wanted if one.model_limits is not None}
        await self.quotas.renew([one.so_far() for one in leases], with_model_lease=of_models)

    async def sweep(self) -> None:
        """Store what was left behind: on disk, by processes that died, in leases that expired."""
        await self.replay.run()
        await self.quotas.reap_seen()

    async def _again(
        self, work: Callable[[], Awaitable[object]], every_s: float, nudge: asyncio.Event
    ) -> None:
        while True:
            if self.watch.is_up:
                await self._tried(work)
            with suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await nudge.wait()
            nudge.clear()

    async def _tried(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except StoreUnavailable as error:
            self.watch.failed(error)
        except (OSError, SpoolFailed) as error:
            log.warning("spool_failed", reason=str(error))
        except Exception:
            log.exception("quota_upkeep_failed")
