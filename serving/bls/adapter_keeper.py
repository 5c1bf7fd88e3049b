"""Keeps pinned adapters in the engine, as far as an engine that knows no pins allows it.

It drops whichever adapter was unused for longest, and all of them when it is started again. So the
pinned ones are used before their turn comes, and loaded again when they were lost: right after a
request has shown that something was lost, or at the next look without one.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from serving.bls.adapter import Adapter
from serving.bls.adapters import AdapterPool
from serving.contract.errors import ConchError

PERIOD_S = 30.0
FIRST_RETRY_S = 0.5


async def keep_warm(
    pool: AdapterPool, pinned: Callable[[], Mapping[int, Adapter]], log: Callable[[str], None]
) -> None:
    """For ever. `log` hears of the first failure in a row."""
    retry_s = FIRST_RETRY_S
    while True:
        pool.doubt.clear()
        trouble = await _warm_all(pool, pinned().values())
        if trouble is None:
            retry_s = FIRST_RETRY_S
            await _wait(pool.doubt, PERIOD_S)
            continue
        if retry_s == FIRST_RETRY_S:
            log(f"pinned adapters could not be loaded, trying again: {trouble}")
        # Not on `doubt`: what has just failed has set it.
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, PERIOD_S)


async def _warm_all(pool: AdapterPool, pinned: Collection[Adapter]) -> str | None:
    """What went wrong last, if anything did."""
    trouble = None
    for adapter in tuple(pinned):
        try:
            await pool.warm(adapter)
        except ConchError as error:
            trouble = f"{adapter.name}: {error.message}"
    return trouble


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
