"""Usage from spool files into Redis, once it is back. Whatever is replayed twice counts once."""

import asyncio

import structlog

from gateway.settler import end
from gateway.spool import Spool, outcomes
from gateway.spool_file import SpoolFile
from serving.adapters.quotas import Quotas
from serving.adapters.redis import StoreRefused
from serving.contract.usage import UsageEvent

AT_ONCE = 200
log: structlog.stdlib.BoundLogger = structlog.get_logger("spool")


class Replay:
    """One file after the other; one that could not be replayed whole is begun anew next time."""

    def __init__(self, spool: Spool, quotas: Quotas) -> None:
        self._spool = spool
        self._quotas = quotas
        self._files: list[SpoolFile] = []

    async def run(self) -> None:
        """Our own file, and those of processes that died.

        Raises StoreUnavailable, SpoolFailed, OSError; what was not replayed is there still.
        """
        self._files += await self._spool.dead_files()
        own = await self._spool.taken()
        if own is not None:
            self._files.append(own)
        while self._files:
            await self._replay(self._files[0])
            self._files.pop(0)

    async def _replay(self, file: SpoolFile) -> None:
        ended, began = outcomes(await asyncio.to_thread(file.lines))
        # What began in this process has ended otherwise, or will.
        lost = [] if file.is_own else list(began.values())
        events = [*ended.values(), *lost]
        for first in range(0, len(events), AT_ONCE):
            batch = events[first : first + AT_ONCE]
            await asyncio.gather(*(self._end(event) for event in batch))
        await asyncio.to_thread(file.remove)
        log.info("spool_replayed", path=str(file.path), ended=len(ended), lost=len(lost))

    async def _end(self, event: UsageEvent) -> None:
        try:
            await end(self._quotas, event)
        except StoreRefused as error:
            # It is tried again, and does not keep back the others.
            log.warning("spool_event_refused", event_id=event.id, reason=str(error))
            await self._spool.ended(event)

    def close(self) -> None:
        for file in self._files:
            file.close()
