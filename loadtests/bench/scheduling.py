"""`make bench-scheduling`: what people feel while agents want four times what the engine can do.

The same arrivals at the same engine by order of arrival and with preemption, through the gateway of
a stack each; before the agents come, what the same people feel alone.
"""

import asyncio
import json
import os
import platform
import re
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import uvloop

from loadtests.bench import model
from loadtests.bench.clients import SseClient
from loadtests.bench.stack import BenchStack, bench_stack
from loadtests.bench.workload import FIRST_ID, LAST_ID, percentile_ms

FOLDER = Path("var/bench")
PLACES = 8
AGENTS, AGENT_TOKENS = 4 * PLACES, 256
PEOPLE, PERSON_TOKENS = 320, 16
PEOPLE_PER_S = 5.0
ALONE = 80
WARM_UP_S = 5.0
PROMPT_TOKENS = 64
COUNTED = ("preemptions", "resumes", "resent_tokens")


@dataclass(frozen=True, slots=True)
class Felt:
    """What people felt alone and among agents, in seconds, and what the engine did meanwhile."""

    alone_s: tuple[float, ...]
    among_s: tuple[float, ...]
    tokens_per_s: float
    counted: dict[str, int]


def main() -> None:
    path = model.ensure(FOLDER)
    felt = {order: _felt(path, order) for order in ("fifo", "preempt")}
    results = targets(felt["fifo"], felt["preempt"])
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(results, indent=2))
    (FOLDER / "scheduling.json").write_text(json.dumps(results, indent=2))


def _felt(path: Path, order: str) -> Felt:
    # No place is reserved for people: what is measured is preemption alone.
    variables = {"TRITON_SCHEDULING": order, "TRITON_MAX_INFLIGHT": str(PLACES)}
    with bench_stack(path, FOLDER, **variables) as stack:
        return uvloop.run(_measured(stack))


async def _measured(stack: BenchStack) -> Felt:
    client = SseClient(stack.host, stack.port, stack.api_key, stack.model)
    person = replace(client, priority="interactive", max_tokens=PERSON_TOKENS)
    agent = replace(client, priority="agent", max_tokens=AGENT_TOKENS)
    made = Made()
    alone = await _people(person, ALONE, made, seed=1)
    agents = [asyncio.create_task(_agent(agent, number, made)) for number in range(AGENTS)]
    await asyncio.sleep(WARM_UP_S)
    before, made.tokens, began_s = counted(stack), 0.0, time.perf_counter()
    among = await _people(person, PEOPLE, made, seed=2, is_last=True)
    for task in agents:
        task.cancel()
    await asyncio.gather(*agents, return_exceptions=True)
    after = counted(stack)
    rate = made.tokens / (made.closed_s - began_s)
    return Felt(
        tuple(alone), tuple(among), rate, {name: after[name] - before[name] for name in COUNTED}
    )


class Made:
    """Tokens of agents and people, counted as they come until the last person has come."""

    def __init__(self) -> None:
        self.tokens = 0.0
        self.closed_s = 0.0

    def close(self) -> None:
        self.closed_s = time.perf_counter()

    def add(self, tokens: int) -> None:
        if not self.closed_s:
            self.tokens += tokens


async def _people(
    client: SseClient, count: int, made: Made, *, seed: int, is_last: bool = False
) -> list[float]:
    """Times to the first token of people who come at random, so many a second.

    With `is_last` tokens count until the last of them has come: then the others only drain.
    """
    rng = np.random.default_rng(seed)
    tasks = []
    for pause_s in rng.exponential(1 / PEOPLE_PER_S, count):
        await asyncio.sleep(pause_s)
        tasks.append(asyncio.create_task(_ask(client, rng, made)))
    if is_last:
        made.close()
    return await asyncio.gather(*tasks)


async def _ask(client: SseClient, rng: np.random.Generator, made: Made) -> float:
    answer = await client.ask(_prompt(rng))
    made.add(answer.tokens)
    return answer.at_s[0]


async def _agent(client: SseClient, number: int, made: Made) -> None:
    rng = np.random.default_rng([3, number])
    while True:
        await _ask(client, rng, made)


def _prompt(rng: np.random.Generator) -> list[int]:
    prompt: list[int] = rng.integers(FIRST_ID, LAST_ID, PROMPT_TOKENS).tolist()
    return prompt


def counted(stack: BenchStack) -> dict[str, int]:
    """What the queue has counted since its start."""
    with urllib.request.urlopen(f"http://{stack.triton_metrics}/metrics") as page:
        text = page.read().decode()
    return {
        name: int(sum(map(float, re.findall(rf"^conch_{name}_total\S* (\S+)$", text, re.M))))
        for name in COUNTED
    }


def targets(fifo: Felt, preempt: Felt) -> dict[str, object]:
    """Everything as a ratio within this run."""
    alone, among = _percentiles(preempt.alone_s), _percentiles(preempt.among_s)
    by_arrival = _percentiles(fifo.among_s)
    return {
        "people": len(preempt.among_s),
        "TTFT alone, ms p50 / p99": alone,
        "TTFT among agents, ms p50 / p99": among,
        "TTFT among agents by order of arrival, ms p50 / p99": by_arrival,
        "p50 among agents / alone (target 2)": round(among[0] / alone[0], 2),
        "p99 among agents / alone (target 3)": round(among[1] / alone[1], 2),
        "p99 / p99 by order of arrival (target 0.2)": round(among[1] / by_arrival[1], 3),
        "tokens/s, by order of arrival and with preemption": [
            round(fifo.tokens_per_s),
            round(preempt.tokens_per_s),
        ],
        "throughput / by order of arrival (target 0.95)": round(
            preempt.tokens_per_s / fifo.tokens_per_s, 3
        ),
        **preempt.counted,
    }


def _percentiles(values_s: Sequence[float]) -> list[float]:
    return [round(percentile_ms(list(values_s), p), 1) for p in (50, 99)]


if __name__ == "__main__":
    main()
