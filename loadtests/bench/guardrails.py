"""`make bench-guardrails`: what guardrails cost, rules, classifier and answers each by itself.

One stack, three projects: without guardrails, with the default policy, and with one that also looks
for personal data and secrets in answers. The same prompts in turns, since the machine's speed
changes.
"""

import asyncio
import json
import os
import platform
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import uvloop

from loadtests.bench import model
from loadtests.bench.clients import SseClient
from loadtests.bench.stack import BenchStack, bench_stack
from loadtests.bench.workload import percentile_ms
from serving.contract.guardrails import Action, Check, CheckKind, Stage
from serving.guardrails.default_policy import DEFAULT
from serving.guardrails.examine import Guard
from serving.guardrails.stream import OutputFilter
from serving.guardrails.wire import sealed

FOLDER = Path("var/bench/guardrails")
STREAMS, ROUNDS, ASKED = 32, 6, 25
PROMPT_WORDS, LONG_WORDS, ANSWER_TOKENS = 50, 400, 96
PROSE = (
    "The harbour was quiet in the morning, and boats that had come in at night lay side by side. "
    "She counted eleven of them, wrote the number down, and walked on to the market, where bread "
    "cost two coins more than it had in spring. Nobody complained; everybody had seen the fields. "
)
_ANSWERS = (Stage.OUTPUT,)
THOROUGH = replace(
    DEFAULT,
    id="thorough",
    checks=(
        *DEFAULT.checks,
        Check(CheckKind.PERSONAL, Action.REDACT, _ANSWERS),
        Check(CheckKind.SECRETS, Action.REDACT, _ANSWERS),
        Check(CheckKind.WORDS, Action.BLOCK, _ANSWERS, phrases=("code name bluebird",)),
    ),
)
POLICIES = ("off", "default", "thorough")


def main() -> None:
    path = model.ensure(FOLDER.parent)
    with bench_stack(path, FOLDER) as stack:
        clients = {policy: _client(stack, policy) for policy in POLICIES}
        first, rates, alone_s = uvloop.run(_measured(clients))
    results = rules() | _first_tokens(first) | _rates(rates)
    results |= held("one stream", alone_s) | held("streams", STREAMS / median(rates["off"]))
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(json.dumps(results, indent=2))
    (FOLDER / "guardrails.json").write_text(json.dumps(results, indent=2))


def rules() -> dict[str, object]:
    """Milliseconds of the default policy's rules on a prompt of about 500 tokens."""
    guard, text = Guard.of(DEFAULT), (PROSE * 9)[:2500]
    return {"rules on 2,500 characters, ms p50 (target 5)": _ms(guard, text)}


def _ms(guard: Guard, text: str) -> float:
    spent = []
    for number in range(300):
        began_s = time.perf_counter()
        guard.examine(f"{number} {text}", Stage.INPUT)
        spent.append(time.perf_counter() - began_s)
    return round(percentile_ms(spent, 50), 2)


def held(where: str, token_s: float) -> dict[str, object]:
    """How long a piece of an answer waits in the filter, where tokens come every `token_s`."""
    filter_ = OutputFilter.of(Guard.of(THOROUGH))
    assert filter_ is not None
    pieces = re.findall(r"\s?\w+|[^\w\s]", PROSE * 9)
    waits: list[float] = []
    made, shown = [0], 0
    for place, piece in enumerate(pieces, start=1):
        made.append(made[-1] + len(piece))
        shown += len(filter_.push(piece).text)
        while len(waits) + 1 < len(made) and made[len(waits) + 1] <= shown:
            waits.append((place - len(waits) - 1) * token_s)
    return {
        f"a token of {where}, ms": round(token_s * 1e3, 1),
        f"its delay in the filter, {where}, ms p50 (target 20)": round(percentile_ms(waits, 50), 1),
    }


def _client(stack: BenchStack, policy: str) -> SseClient:
    """A key of a project of its own, under `policy`."""
    project = f"default/bench-{policy}"
    _conch(stack, "projects", "create", project, is_needed=False)  # there from the last time
    if policy == THOROUGH.id:
        file = FOLDER / "thorough.json"
        file.write_text(sealed(THOROUGH).text)
        _conch(stack, "guardrails", "put", str(file))
    _conch(stack, "guardrails", "use", policy, "--project", project)
    told = _conch(stack, "keys", "create", "bench", "--project", project)
    key = re.search(r"ck_live_\w+", told)
    assert key is not None, told
    return SseClient(stack.host, stack.port, key[0], stack.model, max_tokens=ANSWER_TOKENS)


def _conch(stack: BenchStack, *words: str, is_needed: bool = True) -> str:
    environment = os.environ | {"CONCH_VAR": str(stack.var), "COLUMNS": "200"}
    command = ["conch", *words]
    return subprocess.run(
        command, env=environment, check=is_needed, capture_output=True, text=True
    ).stdout


async def _measured(
    clients: dict[str, SseClient],
) -> tuple[dict[str, list[float]], dict[str, list[float]], float]:
    """Times to the first token of one client, and tokens a second of many, by policy; and how long
    a token of a stream takes that has the engine for itself, in seconds.
    """
    await asyncio.sleep(2)  # until every gateway has the keys
    rng = np.random.default_rng(6)
    first: dict[str, list[float]] = {policy: [] for policy in clients}
    rates: dict[str, list[float]] = {policy: [] for policy in clients}
    for _ in range(ASKED):
        for policy, client in clients.items():
            answer = await replace(client, max_tokens=1).ask(_prompt(rng, LONG_WORDS))
            first[policy].append(answer.at_s[0])
    for number in range(ROUNDS):
        # Each is first, second and last as often as the others.
        for policy in np.roll(POLICIES, number).tolist():
            rates[policy].append(await _rate(clients[policy], rng))
            print(f"round {number} {policy}: {rates[policy][-1]:.0f} tokens/s", flush=True)
    alone = await clients["off"].ask(_prompt(rng, PROMPT_WORDS))
    return first, rates, (alone.at_s[-1] - alone.at_s[0]) / max(1, alone.tokens - 1)


async def _rate(client: SseClient, rng: np.random.Generator) -> float:
    began_s = time.perf_counter()
    prompts = [_prompt(rng, PROMPT_WORDS) for _ in range(STREAMS)]
    answers = await asyncio.gather(*(client.ask(prompt) for prompt in prompts))
    return sum(answer.tokens for answer in answers) / (time.perf_counter() - began_s)


def _prompt(rng: np.random.Generator, words: int) -> str:
    """Words in an order that no prompt had before: nothing of it is in a cache."""
    return " ".join(rng.choice(PROSE.split(), words))


def _first_tokens(first: dict[str, list[float]]) -> dict[str, object]:
    p50 = {policy: percentile_ms(times, 50) for policy, times in first.items()}
    return {
        f"TTFT of {LONG_WORDS} new words without guardrails, ms p50": round(p50["off"], 1),
        "added by the default policy, ms": round(p50["default"] - p50["off"], 1),
    }


def _rates(rates: dict[str, list[float]]) -> dict[str, object]:
    """Ratios by round, and their medians."""
    of = {
        policy: [mine / other for mine, other in zip(rates[policy], rates["off"], strict=True)]
        for policy in POLICIES[1:]
    }
    return {
        "tokens/s without guardrails, by round": [round(rate) for rate in rates["off"]],
        **{
            f"throughput of {STREAMS} streams, {policy} / without (target 0.95)": round(
                median(ratios), 3
            )
            for policy, ratios in of.items()
        },
    }


if __name__ == "__main__":
    main()
