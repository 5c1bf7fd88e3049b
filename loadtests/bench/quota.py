"""`python -m loadtests.bench.quota`: what the quota store costs, beside the floor of a round trip.

On a Redis of its own, as the stack runs it: on a unix socket, every write synced to disk. CPU time
is that of this process and of Redis, per request; a request is one reserve and one settle.
"""

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil
import uvloop

from serving.adapters.quotas import Quotas
from serving.adapters.redis import connect
from serving.adapters.redis_lane import Lane, lane
from serving.adapters.redis_scripts import Command
from serving.contract.policy import Limits, Price
from serving.contract.quota import Admission, Reservation, Scope
from serving.contract.usage import Status, UsageEvent
from serving.settings.stores import RedisSettings
from serving.stack import redis as embedded
from serving.stack.redis import RedisServer

PASSWORD = "bench"  # noqa: S105
CLIENTS = (1, 8, 32, 64)
REQUESTS = 4_000
LIMITS = Limits(
    requests_per_minute=10**7,
    output_tokens_per_minute=10**10,
    concurrent_requests=10**6,
    budget_nusd=10**15,
)
# A round trip; one with a script; one with a write that is on disk before it is answered.
FLOORS = ("PING",), ("EVAL", "return 1", 0), ("INCR", "floor")

Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work at a number of clients. Round trips are of what the client waits for."""

    work: str
    clients: int
    p50_ms: float
    p99_ms: float
    client_us: float
    redis_us: float

    def __str__(self) -> str:
        return (
            f"| {self.work} | {self.clients} | {self.p50_ms:.2f} | {self.p99_ms:.2f} "
            f"| {self.client_us:.0f} | {self.redis_us:.0f} |"
        )


HEAD = """| work | clients | p50 ms | p99 ms | CPU client µs | CPU Redis µs |
|---|---:|---:|---:|---:|---:|"""


def main() -> None:
    with _redis() as (settings, process):
        uvloop.run(measure(settings, process))


async def measure(settings: RedisSettings, process: psutil.Process) -> None:
    """Prints the table."""
    print(HEAD)
    async with connect(settings) as redis, lane(redis) as shared:
        quotas = Quotas(redis, lease_s=30, lane=shared)
        for name, work in _works(shared, quotas).items():
            for clients in CLIENTS:
                await _measured(name, clients, work, shared, process)  # warms up
                print(await _measured(name, clients, work, shared, process), flush=True)


def _works(shared: Lane, quotas: Quotas) -> dict[str, Work]:
    """By name: what a client does again and again."""
    settling: set[asyncio.Task[bool]] = set()
    numbers = count()

    async def request() -> None:
        """Settling is not waited for."""
        wanted = _wanted(f"{next(numbers):032}")
        assert isinstance(await quotas.reserve(wanted), Admission)
        task = asyncio.create_task(quotas.settle(wanted.event))
        settling.add(task)
        task.add_done_callback(settling.discard)

    floors = {words[0]: Command(words) for words in FLOORS}
    return {name: partial(_asked, shared, floor) for name, floor in floors.items()} | {
        "reserve + settle": request
    }


async def _asked(shared: Lane, command: Command) -> None:
    await shared.ask(command)


def _wanted(name: str) -> Reservation:
    event = UsageEvent(
        id=name,
        request_id=f"req_{name}",
        began_at=time.time(),
        tenant="acme",
        project="acme/web",
        principal="key:3fA9xQ27bc",
        endpoint="chat",
        model="demo",
        status=Status.LOST,
    )
    names = "key:3fA9xQ27bc", "project:acme/web", "tenant"
    scopes = tuple(Scope(scope, LIMITS) for scope in names)
    return Reservation(event, scopes, 120, 256, Price(100, 10, 400))


async def _measured(
    name: str, clients: int, work: Work, shared: Lane, process: psutil.Process
) -> Row:
    took_ms: list[float] = []

    async def client() -> None:
        for _ in range(REQUESTS // clients):
            began_s = time.perf_counter()
            await work()
            took_ms.append((time.perf_counter() - began_s) * 1e3)

    before_s, redis_before_s = time.process_time(), _cpu_s(process)
    await asyncio.gather(*(client() for _ in range(clients)))
    await shared.drain()
    client_s, redis_s = time.process_time() - before_s, _cpu_s(process) - redis_before_s
    percentiles = quantiles(took_ms, n=100)
    a_request = 1e6 / REQUESTS
    return Row(
        name,
        clients,
        percentiles[49],
        percentiles[98],
        client_s * a_request,
        redis_s * a_request,
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _redis() -> Iterator[tuple[RedisSettings, psutil.Process]]:
    with tempfile.TemporaryDirectory(prefix="cq") as name:
        server = RedisServer(Path(name) / "redis", Path(name) / "redis.sock")
        server.configure(PASSWORD)
        with subprocess.Popen(server.command, stdout=subprocess.DEVNULL) as process:
            try:
                while not asyncio.run(embedded.answers(server.socket, PASSWORD, timeout_s=1)):
                    time.sleep(0.02)
                settings = RedisSettings(url=server.url, password=PASSWORD)
                yield settings, psutil.Process(process.pid)
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
