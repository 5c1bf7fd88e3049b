"""Whether Redis answers: who finds that it does not spares everybody else the wait."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from serving.adapters.redis import StoreRefused, StoreUnavailable

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 2.0
log: structlog.stdlib.BoundLogger = structlog.get_logger("quota")


class StoreWatch:
    """It is up until an answer fails to come, and again when a ping is answered."""

    def __init__(self) -> None:
        self.is_up = True
        self._is_away = asyncio.Event()

    def failed(self, error: StoreUnavailable) -> None:
        """An answer did not come. One that refuses is an answer: the next may be another."""
        if isinstance(error, StoreRefused):
            log.error("redis_refused", reason=str(error))
        elif self.is_up:
            self.is_up = False
            self._is_away.set()
            log.warning("redis_away", reason=str(error))

    async def run(self, ping: Callable[[], Awaitable[None]], back: Callable[[], None]) -> None:
        """Asks again and again while Redis is away; calls `back` when it is not any more."""
        while True:
            await self._is_away.wait()
            since_s = time.monotonic()
            await _until_answered(ping)
            self._is_away.clear()
            self.is_up = True
            log.info("redis_back", after_s=round(time.monotonic() - since_s, 3))
            back()


async def _until_answered(ping: Callable[[], Awaitable[None]]) -> None:
    retry_s = FIRST_RETRY_S
    while True:
        # Not all gateways at the same moment.
        await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))  # noqa: S311
        try:
            await ping()
        except StoreUnavailable:
            retry_s = min(LAST_RETRY_S, retry_s * 2)
        else:
            return
