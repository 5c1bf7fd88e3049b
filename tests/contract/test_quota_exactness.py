"""64 clients in 2 processes get exactly what a limit allows, no matter how hard they try."""

import asyncio
import json
import os
import sys
from math import floor
from pathlib import Path
from typing import Any

from quota_hammer import LIMITS, MOST_TOKENS
from stores import RedisStore

PROCESSES = 2
SECONDS = "20" if os.environ.get("CONCH_TEST_SCALE") == "full" else "0.7"


async def hammered(store: RedisStore) -> list[dict[str, Any]]:
    script = str(Path(__file__).with_name("quota_hammer.py"))
    path = os.pathsep.join(sys.path)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *(script, f"{number}", SECONDS),
            env=os.environ | store.environment() | {"PYTHONPATH": path},
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    outputs = [(await process.communicate())[0] for process in processes]
    assert all(process.returncode == 0 for process in processes)
    return [json.loads(output) for output in outputs]


async def test_exactly_the_burst_and_the_rate_get_through(redis_server: RedisStore):
    redis_server.flush()
    results = await hammered(redis_server)
    for kind, leeway in (("requests", 0), ("tokens", MOST_TOKENS)):  # within one request
        through, at_least, at_most = counted([result[kind] for result in results], kind)
        assert at_least - leeway <= through <= at_most


def counted(results: list[dict[str, Any]], kind: str) -> tuple[int, float, float]:
    """What got through, and between what it has to be."""
    times = zip(*(result["times"] for result in results), strict=True)
    before_first, after_first, before_last, after_last = times
    limits = LIMITS[kind]
    a_minute = limits.requests_per_minute or limits.output_tokens_per_minute
    assert a_minute is not None
    per_s = a_minute / 60  # and as much at once
    return (
        sum(result[kind] for result in results),
        per_s + floor(per_s * (max(before_last) - min(after_first))),
        per_s + floor(per_s * (max(after_last) - min(before_first))),
    )
