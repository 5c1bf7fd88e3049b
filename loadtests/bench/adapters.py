"""`make bench-adapters`: what a cold and a warm adapter cost, and how often one is found in place.

Through the gateway of a stack of its own, on the demo model with random adapters of rank 8.
"""

import asyncio
import json
import os
import platform
import re
import subprocess
import urllib.request
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from loadtests.bench.clients import SseClient
from loadtests.bench.stack import BenchStack, bench_stack
from loadtests.bench.workload import percentile_ms
from serving.lora.modules import SPLIT_MODULES
from serving.lora.peft import write
from serving.lora.shape import ModelShape, shape_of
from serving.lora.weights import LoraLayer

FOLDER = Path("var/bench")
DEMO = Path("model_repository/demo_engine/1/model")
ADAPTERS, ROOM = 20, 6
RANK = 8
ALTERNATIONS = 150
TRACE, ZIPF, CLIENTS = 400, 1.1, 4
PROMPT = list(range(300, 316))


def main() -> None:
    with bench_stack(None, FOLDER) as stack:
        names = _add_adapters(stack)
        results = uvloop.run(_measure(stack, names))
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(results, indent=2))
    (FOLDER / "adapters.json").write_text(json.dumps(results, indent=2))


def _add_adapters(stack: BenchStack) -> list[str]:
    shape = shape_of(DEMO)
    names = [f"bench-{number}" for number in range(ADAPTERS)]
    for number, name in enumerate(names):
        folder = FOLDER / "adapters" / name
        write(folder, _layers(shape, number), base="demo")
        environment = {**os.environ, "CONCH_VAR": str(stack.var)}
        command = ["conch", "adapters", "add", name, str(folder.resolve())]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return names


def _layers(shape: ModelShape, seed: int) -> list[LoraLayer]:
    rng = np.random.default_rng(seed)
    layers = []
    for layer in range(shape.layers):
        for module in sorted(SPLIT_MODULES):
            inputs, outputs = shape.dims(module)
            a = rng.normal(0, 0.02, (RANK, inputs)).astype(np.float32)
            b = rng.normal(0, 0.02, (outputs, RANK)).astype(np.float32)
            layers.append(LoraLayer(module, layer, a, b))
    return layers


async def _measure(stack: BenchStack, names: Sequence[str]) -> dict[str, object]:
    base = SseClient(stack.host, stack.port, stack.api_key, stack.model)
    await _ttft_s(base)
    cold, after = [], []
    for name in names:
        client = replace(base, model=f"{stack.model}:{name}")
        cold.append(await _ttft_s(client))
        after.append(await _ttft_s(client))
    warm = await _alternated(base, replace(base, model=f"{stack.model}:{names[-1]}"))
    trace = _zipf(names)
    hit_rate = await _hit_rate(stack, base, trace)
    plain = lru_hit_rate(trace, names[-ROOM:])
    added_s = [c - w for c, w in zip(cold, after, strict=True)]
    return {
        "adapters, room": [ADAPTERS, ROOM],
        "cold adds to TTFT, s p50 / max (target 1.0)": [
            round(median(added_s), 3),
            round(max(added_s), 3),
        ],
        "warm adds to TTFT, ms p50 (target 2.0)": round(median(warm) * 1e3, 2),
        "TTFT of a warm adapter, ms p50 / p99": [
            round(percentile_ms(after, p), 1) for p in (50, 99)
        ],
        f"hit rate, Zipf({ZIPF}), {TRACE} requests of {CLIENTS} clients": round(hit_rate, 3),
        "hit rate of plain LRU on the same trace (target)": round(plain, 3),
    }


async def _ttft_s(client: SseClient) -> float:
    return (await client.ask(PROMPT)).at_s[0]


async def _alternated(base: SseClient, adapted: SseClient) -> list[float]:
    """By how much the adapter's first token came later, asked in turns."""
    added = []
    for number in range(ALTERNATIONS):
        pair = {}
        # Who goes first changes: the second of a pair finds warmer caches.
        for client in (base, adapted) if number % 2 else (adapted, base):
            pair[client.model] = await _ttft_s(client)
        added.append(pair[adapted.model] - pair[base.model])
    return added


def _zipf(names: Sequence[str]) -> list[str]:
    weights = 1 / np.arange(1, len(names) + 1) ** ZIPF
    rng = np.random.default_rng(7)
    return [names[i] for i in rng.choice(len(names), TRACE, p=weights / weights.sum())]


async def _hit_rate(stack: BenchStack, base: SseClient, trace: Iterable[str]) -> float:
    """The share of requests for which the engine did not have to load an adapter."""
    before, left = _loads(stack), iter(trace)

    async def client() -> None:
        for name in left:
            await replace(base, model=f"{stack.model}:{name}").ask(PROMPT)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return 1 - (_loads(stack) - before) / TRACE


def _loads(stack: BenchStack) -> float:
    with urllib.request.urlopen(f"http://{stack.triton_metrics}/metrics") as page:
        text = page.read().decode()
    found = re.findall(r"^conch_engine_lora_loads\S* (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def lru_hit_rate(trace: Sequence[str], resident: Sequence[str]) -> float:
    """Of a cache that evicts what was used longest ago; `resident` fill it, the newest last."""
    cache = OrderedDict.fromkeys(resident)
    hits = 0
    for name in trace:
        hits += name in cache
        cache[name] = None
        cache.move_to_end(name)
        if len(cache) > len(resident):
            cache.popitem(last=False)
    return hits / len(trace)


if __name__ == "__main__":
    main()
