"""`python quota_hammer.py NAME SECONDS`: a process of 32 restless clients for each kind of limit.

Prints as JSON, for each kind, how many requests were let through and the tokens they used, and by
the clock of Redis when the first request was sent and answered, and the last.
"""

import asyncio
import json
import random
import sys
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from quota_requests import a_request, an_event, used

from serving.adapters.quotas import Quotas
from serving.adapters.redis import Redis, connect
from serving.adapters.redis_lane import lane
from serving.contract.policy import Limits
from serving.contract.quota import Admission
from serving.settings.stores import RedisSettings

CLIENTS = 32
MOST_TOKENS = 20
LIMITS = {
    "requests": Limits(requests_per_minute=2_400, burst_s=1),
    "tokens": Limits(output_tokens_per_minute=12_000, burst_s=1),
}


@dataclass
class Hammer:
    """What got through so far."""

    quotas: Quotas
    name: str
    kind: str
    requests: int = 0
    tokens: int = 0
    _numbers: "count[int]" = field(default_factory=count)

    async def hit(self) -> bool:
        """Whether it was let through."""
        event = an_event(f"{self.name}-{next(self._numbers)}", tenant=self.kind)
        wanted = a_request(event.id, LIMITS[self.kind], tokens=(0, MOST_TOKENS), event=event)
        if not isinstance(await self.quotas.reserve(wanted), Admission):
            return False
        took = random.randint(0, MOST_TOKENS)
        assert await self.quotas.settle(used(wanted, 0, took))
        self.requests, self.tokens = self.requests + 1, self.tokens + took
        return True

    async def hit_until(self, until_s: float) -> None:
        while asyncio.get_running_loop().time() < until_s:
            await self.hit()


async def now_s(redis: Redis) -> float:
    seconds, micros = await redis.time()
    return seconds + micros / 1e6


async def hammered(redis: Redis, quotas: Quotas, name: str, kind: str) -> dict[str, Any]:
    hammer = Hammer(quotas, name, kind)
    times = [await now_s(redis)]
    await hammer.hit()
    times.append(await now_s(redis))
    until_s = asyncio.get_running_loop().time() + float(sys.argv[2])
    await asyncio.gather(*(hammer.hit_until(until_s) for _ in range(CLIENTS)))
    times.append(await now_s(redis))
    while await hammer.hit():  # what has come in meanwhile
        pass
    times.append(await now_s(redis))
    return {"requests": hammer.requests, "tokens": hammer.tokens, "times": times}


async def main() -> None:
    async with connect(RedisSettings()) as redis, lane(redis) as shared:
        quotas = Quotas(redis, lease_s=30, lane=shared)
        works = (hammered(redis, quotas, sys.argv[1], kind) for kind in LIMITS)
        json.dump(dict(zip(LIMITS, await asyncio.gather(*works), strict=True)), sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
