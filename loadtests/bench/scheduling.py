"""`make bench-scheduling`: what people feel while agents want four times what the engine can do.

The same arrivals at the same engine by order of arrival and with preemption, through the gateway of
a stack each, in turns, since the machine's speed changes; before the agents come, what the same
people feel alone.
"""

import asyncio
import json
import os
import platform
import re
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from loadtests.bench import model
from loadtests.bench.clients import SseClient
from loadtests.bench.stack import BenchStack, bench_stack
from loadtests.bench.workload import FIRST_ID, LAST_ID, percentile_ms

FOLDER = Path("var/bench")
ORDERS = ("fifo", "preempt")
PLACES = 8
AGENTS = 4 * PLACES
AGENT_TOKENS = (64, 448)  # of different lengths, or they would all end at the same moments
PEOPLE_PER_S, PERSON_TOKENS = 5.0, 16
ROUNDS, PEOPLE, ALONE = 3, 100, 25
# Both orders have to serve the same mix while their tokens are counted, and by order of arrival
# the first person is served only after those agents that came before.
WARM_UP_S = 30.0
PROMPT_TOKENS = 64
COUNTED = ("preemptions", "resumes", "resent_tokens")


@dataclass(slots=True)
class Felt:
    """What people felt alone and among agents, in seconds, and what the engine made of each round.

    `counted` is what the queue did in all rounds together.
    """

    alone_s: list[float] = field(default_factory=list)
    among_s: list[float] = field(default_factory=list)
    tokens_per_s: list[float] = field(default_factory=list)
    counted: dict[str, int] = field(default_factory=dict)


class Made:
    """Tokens of agents and people, counted as they come, from `open` to `close`."""

    def __init__(self) -> None:
        self.tokens = 0
        self._is_open = False
        self._began_s = 0.0

    def open(self) -> None:
        self._is_open, self._began_s = True, time.perf_counter()

    def close(self) -> float:
        """Tokens a second."""
        self._is_open = False
        return self.tokens / (time.perf_counter() - self._began_s)

    def add(self, tokens: int) -> None:
        if self._is_open:
            self.tokens += tokens


def main() -> None:
    path = model.ensure(FOLDER)
    with ExitStack() as running:
        stacks = {order: running.enter_context(_stack(path, order)) for order in ORDERS}
        felt = uvloop.run(_measured(stacks))
    results = targets(felt["fifo"], felt["preempt"])
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(results, indent=2))
    (FOLDER / "scheduling.json").write_text(json.dumps(results, indent=2))


def _stack(path: Path, order: str) -> AbstractContextManager[BenchStack]:
    # No place is reserved for people: what is measured is preemption alone.
    # By order of arrival they wait for long: longer than a gateway would let them otherwise.
    variables = {
        "TRITON_SCHEDULING": order,
        "TRITON_MAX_INFLIGHT": str(PLACES),
        "TRITON_QUEUE_TIMEOUTS_S": "interactive=600",
    }
    return bench_stack(path, FOLDER / order, **variables)


async def _measured(stacks: dict[str, BenchStack]) -> dict[str, Felt]:
    felt = {order: Felt() for order in stacks}
    for number in range(ROUNDS):
        # Who goes first changes from round to round.
        for order in ORDERS if number % 2 else ORDERS[::-1]:
            await _round(stacks[order], number, felt[order])
            print(
                f"round {number} {order}: {felt[order].tokens_per_s[-1]:.0f} tokens/s", flush=True
            )
    for order, stack in stacks.items():
        felt[order].counted = counted(stack)
    return felt


async def _round(stack: BenchStack, number: int, felt: Felt) -> None:
    client = SseClient(stack.host, stack.port, stack.api_key, stack.model)
    person = replace(client, priority="interactive", max_tokens=PERSON_TOKENS)
    agent = replace(client, priority="agent")
    made = Made()
    felt.alone_s += await asyncio.gather(*await _people(person, ALONE, made, number))
    agents = [asyncio.create_task(_agent(agent, number, each, made)) for each in range(AGENTS)]
    early = await _people(person, int(WARM_UP_S * PEOPLE_PER_S), made, 2 * ROUNDS + number)
    made.open()
    people = await _people(person, PEOPLE, made, ROUNDS + number)
    felt.tokens_per_s.append(made.close())
    for task in agents:
        task.cancel()
    await asyncio.gather(*agents, return_exceptions=True)
    await asyncio.gather(*early)
    felt.among_s += await asyncio.gather(*people)


async def _people(
    client: SseClient, count: int, made: Made, seed: int
) -> list["asyncio.Task[float]"]:
    """People who come at random, so many a second, once the last has come: their TTFTs."""
    rng = np.random.default_rng(seed)
    tasks = []
    for pause_s in rng.exponential(1 / PEOPLE_PER_S, count):
        await asyncio.sleep(pause_s)
        tasks.append(asyncio.create_task(_ask(client, rng, made)))
    return tasks


async def _ask(client: SseClient, rng: np.random.Generator, made: Made) -> float:
    answer = await client.ask(_prompt(rng))
    made.add(answer.tokens)
    return answer.at_s[0]


async def _agent(client: SseClient, number: int, each: int, made: Made) -> None:
    rng = np.random.default_rng([3, number, each])
    while True:
        await _ask(replace(client, max_tokens=int(rng.integers(*AGENT_TOKENS))), rng, made)


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
    """Everything as a ratio within this run; throughput by rounds, the median of their ratios."""
    alone, among = _percentiles(preempt.alone_s), _percentiles(preempt.among_s)
    by_arrival = _percentiles(fifo.among_s)
    pairs = zip(preempt.tokens_per_s, fifo.tokens_per_s, strict=True)
    return {
        "people": len(preempt.among_s),
        "TTFT alone, ms p50 / p99": alone,
        "TTFT among agents, ms p50 / p99": among,
        "TTFT among agents by order of arrival, ms p50 / p99": by_arrival,
        "p50 among agents / alone (target 2)": round(among[0] / alone[0], 2),
        "p99 among agents / alone (target 3)": round(among[1] / alone[1], 2),
        "p99 / p99 by order of arrival (target 0.2)": round(among[1] / by_arrival[1], 3),
        "tokens/s by order of arrival, by round": [round(rate) for rate in fifo.tokens_per_s],
        "tokens/s with preemption, by round": [round(rate) for rate in preempt.tokens_per_s],
        "throughput / by order of arrival (target 0.95)": round(
            median(mine / other for mine, other in pairs), 3
        ),
        **preempt.counted,
    }


def _percentiles(values_s: Sequence[float]) -> list[float]:
    return [round(percentile_ms(list(values_s), p), 1) for p in (50, 99)]


if __name__ == "__main__":
    main()
