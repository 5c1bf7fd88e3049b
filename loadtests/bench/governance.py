"""`make bench-governance`: what key, quota and usage cost, governed against not, in one run."""

import asyncio
import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil
import uvloop

from loadtests.bench.policy import KEYS, TENANTS, Floor, change_times_ms, floor, seed
from loadtests.bench.stack import BenchStack, bench_stack, free_ports
from loadtests.bench.workload import percentile_ms

FOLDER = Path("var/bench")
ROUNDS = 7
CLIENTS = 32
REQUESTS_EACH = 60
ALONE = 300
PATIENCE_S = 60.0
RESTING_S = 6.0  # longer than the pause between two savings of the policy
STEADY_MB = 0.5


@dataclass(frozen=True, slots=True)
class Gateway:
    """One of the two that are compared."""

    name: str
    base_url: str
    key: str
    pid: int


@dataclass(frozen=True, slots=True)
class Round:
    """Requests a second of all clients, latency and CPU of one at a time."""

    gateway: str
    requests_per_s: float
    cpu_ms: float
    alone_p50_ms: float
    alone_p99_ms: float


def main() -> None:
    with bench_stack(None, FOLDER) as stack:
        _, before_mb = uvloop.run(_fresh(stack, stack.api_key))
        key = uvloop.run(seed(stack))
        pid, after_mb = uvloop.run(_fresh(stack, key))
        governed = Gateway("governed", _url(stack), key, pid)
        with _ungoverned(stack) as other:
            rounds = uvloop.run(_rounds(governed, other))
        results = _results(rounds, uvloop.run(floor(stack)), after_mb - before_mb)
        results["change reaches the gateway, ms p50 / max (target 1000)"] = _shown(
            uvloop.run(change_times_ms(stack, governed.base_url))
        )
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(results, indent=2))
    (FOLDER / "governance.json").write_text(json.dumps(results, indent=2))


def _url(stack: BenchStack) -> str:
    return f"http://{stack.host}:{stack.port}/v1"


async def _settled_mb(pid: int) -> float:
    """Its memory at rest: after a start it reads, and then saves, the whole policy."""
    process = psutil.Process(pid)
    async with asyncio.timeout(PATIENCE_S):
        before_mb, now_mb = 0.0, process.memory_info().rss / 1e6
        while abs(now_mb - before_mb) > STEADY_MB:
            await asyncio.sleep(RESTING_S)
            before_mb, now_mb = now_mb, process.memory_info().rss / 1e6
    return now_mb


async def _fresh(stack: BenchStack, key: str) -> tuple[int, float]:
    """The pid of a gateway that has just been started and served `key`, and its memory in MB."""
    pid = stack.pid_of("gateway")
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        while stack.pid_of("gateway") in (0, pid):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    async with httpx.AsyncClient(trust_env=False) as client:
        await _until_served(client, Gateway("fresh", _url(stack), key, pid))
    pid = stack.pid_of("gateway")
    return pid, await _settled_mb(pid)


@contextmanager
def _ungoverned(stack: BenchStack) -> Iterator[Gateway]:
    """A second gateway on the same Triton, of one key, without limits and usage."""
    port, metrics_port, grpc_port = free_ports(3)
    key = secrets.token_hex(16)
    environment = {
        **os.environ,
        "GATEWAY_GOVERNED": "false",
        "GATEWAY_API_KEY": key,
        "GATEWAY_PORT": str(port),
        "GATEWAY_METRICS_PORT": str(metrics_port),
        "GATEWAY_GRPC_PORT": str(grpc_port),
        "GATEWAY_TRITON_URL": stack.triton_grpc,
        "GATEWAY_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "gateway"], env=environment)
    try:
        yield Gateway("ungoverned", f"http://127.0.0.1:{port}/v1", key, process.pid)
    finally:
        process.terminate()
        process.wait(10)


async def _rounds(*gateways: Gateway) -> list[Round]:
    """They take turns; the first round warms up."""
    rounds = []
    for number in range(ROUNDS + 1):
        # Who goes first changes: the second of a pair finds warmer caches.
        for gateway in gateways if number % 2 else reversed(gateways):
            measured = await _round(gateway)
            if number:
                print(f"{gateway.name:10} {measured.requests_per_s:6.0f} requests/s", flush=True)
                rounds.append(measured)
    return rounds


async def _round(gateway: Gateway) -> Round:
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(trust_env=False, limits=limits, timeout=60) as client:
        await _until_served(client, gateway)
        cpu_s, began_s = _cpu_s(gateway.pid), time.perf_counter()
        await asyncio.gather(*(_client(client, gateway, REQUESTS_EACH) for _ in range(CLIENTS)))
        seconds, cpu_s = time.perf_counter() - began_s, _cpu_s(gateway.pid) - cpu_s
        alone_s = await _client(client, gateway, ALONE)
    done = CLIENTS * REQUESTS_EACH
    return Round(
        gateway.name,
        done / seconds,
        cpu_s / done * 1e3,
        percentile_ms(alone_s, 50),
        percentile_ms(alone_s, 99),
    )


async def _until_served(client: httpx.AsyncClient, gateway: Gateway) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(httpx.TransportError):
                if (await _ask(client, gateway.base_url, gateway.key)).is_success:
                    return
            await asyncio.sleep(0.1)


async def _client(client: httpx.AsyncClient, gateway: Gateway, count: int) -> list[float]:
    taken_s = []
    for _ in range(count):
        began_s = time.perf_counter()
        (await _ask(client, gateway.base_url, gateway.key)).raise_for_status()
        taken_s.append(time.perf_counter() - began_s)
    return taken_s


async def _ask(client: httpx.AsyncClient, base_url: str, key: str) -> httpx.Response:
    """The shortest of requests: one token of the demo model."""
    body = {"model": "demo", "prompt": "Hi", "max_tokens": 1, "temperature": 0}
    headers = {"authorization": f"Bearer {key}"}
    return await client.post(f"{base_url}/completions", json=body, headers=headers)


def _cpu_s(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _results(rounds: list[Round], redis: Floor, memory_mb: float) -> dict[str, object]:
    on = [r for r in rounds if r.gateway == "governed"]
    off = [r for r in rounds if r.gateway == "ungoverned"]
    ratios = [a.requests_per_s / b.requests_per_s for a, b in zip(on, off, strict=True)]
    added_ms = [a.alone_p50_ms - b.alone_p50_ms for a, b in zip(on, off, strict=True)]
    return {
        "keys, tenants": [KEYS, TENANTS],
        "requests/s governed": round(median(r.requests_per_s for r in on)),
        "requests/s ungoverned": round(median(r.requests_per_s for r in off)),
        "governed / ungoverned (target 0.75)": round(median(ratios), 3),
        "gateway CPU ms a request governed": round(median(r.cpu_ms for r in on), 3),
        "gateway CPU ms a request ungoverned": round(median(r.cpu_ms for r in off), 3),
        "p50 added at 1 client, ms (target 1.0)": round(median(added_ms), 3),
        "p99 at 1 client, ms governed / ungoverned": [
            round(median(r.alone_p99_ms for r in on), 2),
            round(median(r.alone_p99_ms for r in off), 2),
        ],
        "floor: one PING of Redis, ms p50": round(redis.ping_ms, 3),
        "floor: one write that Redis has on disk, ms p50": round(redis.write_ms, 3),
        "memory of the seeded policy, MB (target 20)": round(memory_mb, 1),
    }


def _shown(times_ms: list[float]) -> list[float]:
    return [round(median(times_ms), 1), round(max(times_ms), 1)]


if __name__ == "__main__":
    main()
