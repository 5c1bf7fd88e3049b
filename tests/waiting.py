"""Waiting for what was promised within some time."""

import asyncio
import os
import time
from collections.abc import Callable

POLL_S = 0.05


def allowed(seconds: float) -> float:
    """Promises are made for a machine with nothing else to do; a busy one gets more time."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def until(condition: Callable[[], object], within_s: float) -> None:
    begun_s = time.monotonic()
    while not condition():
        _check(begun_s, within_s)
        time.sleep(POLL_S)


async def until_async(condition: Callable[[], object], within_s: float) -> None:
    """The same while other tasks go on; `condition` runs beside them."""
    begun_s = time.monotonic()
    while not await asyncio.to_thread(condition):
        _check(begun_s, within_s)
        await asyncio.sleep(POLL_S)


def _check(begun_s: float, within_s: float) -> None:
    assert time.monotonic() - begun_s < allowed(within_s), f"not within {within_s:g} s"
