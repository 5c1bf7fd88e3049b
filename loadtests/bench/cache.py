"""`make bench-cache`: what an answer out of the cache takes, against Redis itself, in one run."""

import asyncio
import json
import os
import platform
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import uvloop

from loadtests.bench.policy import floor
from loadtests.bench.stack import BenchStack, bench_stack
from loadtests.bench.workload import percentile_ms

FOLDER = Path("var/bench")
TOKENS = 32
WARM, ASKED = 50, 400
AT_ONCE, FLOCKS = 100, 5
PATIENCE_S = 60.0
LOOK_UP = "conch_gateway_cache_look_up_seconds"
RESERVE = "conch_gateway_quota_reserve_seconds"


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds, p50 and p99."""

    p50: float
    p99: float

    @classmethod
    def of(cls, taken_s: list[float]) -> "Times":
        shown = (round(percentile_ms(taken_s, percentile), 3) for percentile in (50, 99))
        return cls(*shown)


def main() -> None:
    with bench_stack(None, FOLDER) as stack:
        results = uvloop.run(_results(stack))
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(results, indent=2))
    (FOLDER / "cache.json").write_text(json.dumps(results, indent=2))


async def _results(stack: BenchStack) -> dict[str, object]:
    headers = {"authorization": f"Bearer {stack.api_key}"}
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(
        base_url=f"http://{stack.host}:{stack.port}",
        headers=headers,
        trust_env=False,
        timeout=PATIENCE_S,
        limits=limits,
    ) as client:
        anew = Times.of(await _taken(client, _body, ASKED // 4))
        await _turn_on(stack, client)
        asked = await _kept(client)
        before = await _metrics(client)
        probes, hits, streams = await _in_turns(client, asked)
        after = await _metrics(client)
        cpu_ms = await _cpu_ms(stack, client, asked)
        generations = [await _generations(client) for _ in range(FLOCKS)]
    redis = await floor(stack)
    added = [hit - probe for hit, probe in zip(hits, probes, strict=True)]
    return {
        f"made anew, {TOKENS} tokens, ms p50 / p99": _shown(anew),
        "hit, ms p50 / p99": _shown(Times.of(hits)),
        "hit as a stream, ms p50 / p99": _shown(Times.of(streams)),
        "floor: a request that does nothing, ms p50 / p99": _shown(Times.of(probes)),
        "inside the gateway: a hit without that floor, ms p50 (target 1.5)": Times.of(added).p50,
        "the gateway's CPU for a hit, ms": cpu_ms,
        "look-up, ms p50": _p50_ms(LOOK_UP, before, after),
        "quotas, ms p50": _p50_ms(RESERVE, before, after),
        "floor: one PING of Redis, ms p50": round(redis.ping_ms, 3),
        "floor: one write that Redis has on disk, ms p50": round(redis.write_ms, 3),
        f"generations of {AT_ONCE} equal requests at once (target 1)": generations,
    }


def _shown(times: Times) -> tuple[float, float]:
    return times.p50, times.p99


def _body() -> dict[str, Any]:
    """What nobody has asked before."""
    prompt = f"Once upon a time {uuid4()}"
    return {"model": "demo", "prompt": prompt, "temperature": 0, "max_tokens": TOKENS}


async def _turn_on(stack: BenchStack, client: httpx.AsyncClient) -> None:
    control = psutil.Process(stack.pid_of("control-plane")).environ()["CONTROL_PORT"]
    admin = (stack.var / "secrets" / "admin_key").read_text().strip()
    async with httpx.AsyncClient(trust_env=False) as own:
        url = f"http://127.0.0.1:{control}/v1/policy/settings"
        authorization = {"authorization": f"Bearer {admin}"}
        changed = await own.patch(url, json={"cache": "exact"}, headers=authorization)
        changed.raise_for_status()
    async with asyncio.timeout(PATIENCE_S):
        while "x-conch-cache" not in (await _asked(client, _body())).headers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _asked(client: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return (await client.post("/v1/completions", json=body)).raise_for_status()


async def _taken(
    client: httpx.AsyncClient, body: Callable[[], dict[str, Any]], count: int
) -> list[float]:
    return [await _taken_s(_asked(client, body())) for _ in range(count)]


async def _taken_s(asked: Awaitable[httpx.Response]) -> float:
    began_s = time.perf_counter()
    (await asked).raise_for_status()
    return time.perf_counter() - began_s


async def _kept(client: httpx.AsyncClient) -> dict[str, Any]:
    """A request whose answer is in the cache."""
    body = _body()
    async with asyncio.timeout(PATIENCE_S):
        while (await _asked(client, body)).headers["x-conch-cache"] != "hit":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await _taken(client, lambda: body, WARM)
    return body


async def _in_turns(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> tuple[list[float], list[float], list[float]]:
    """One after the other, so that what else the machine does is in all of them."""
    probes, hits, streams = [], [], []
    for _ in range(ASKED):
        probes.append(await _taken_s(client.get("/health/live")))
        hits.append(await _taken_s(_asked(client, body)))
        streams.append(await _taken_s(_asked(client, body | {"stream": True})))
    return probes, hits, streams


async def _cpu_ms(stack: BenchStack, client: httpx.AsyncClient, body: dict[str, Any]) -> float:
    """Of one hit, by what the process itself used."""
    gateway = psutil.Process(stack.pid_of("gateway"))
    before = gateway.cpu_times()
    await _taken(client, lambda: body, ASKED)
    after = gateway.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    return round(used_s / ASKED * 1e3, 3)


def _p50_ms(name: str, before: dict[str, float], after: dict[str, float]) -> float:
    """Of a histogram's growth; between two bounds as if times were spread evenly."""
    mark = f'{name}_bucket{{le="'
    bounds = [(float(key[len(mark) : -2]), key) for key in after if key.startswith(mark)]
    counts = [(bound, after[key] - before.get(key, 0.0)) for bound, key in sorted(bounds)]
    half, low, below = counts[-1][1] / 2, 0.0, 0.0
    for bound, count in counts:
        if count >= half:
            return round((low + (bound - low) * (half - below) / (count - below)) * 1e3, 3)
        low, below = bound, count
    return float("inf")


async def _generations(client: httpx.AsyncClient) -> int:
    """What so many equal requests cost: of how many answers none was there, nor being made."""
    body, name = _body(), "conch_gateway_cache_misses_total"
    before = (await _metrics(client))[name]
    await asyncio.gather(*(_asked(client, body) for _ in range(AT_ONCE)))
    return int((await _metrics(client))[name] - before)


async def _metrics(client: httpx.AsyncClient) -> dict[str, float]:
    text = (await client.get("/metrics")).raise_for_status().text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


if __name__ == "__main__":
    main()
