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
from loadtests.bench.workload import FIRST_ID, LAST_ID, percentile_ms
from serving.contract.guardrails import Action, Check, CheckKind, Stage
from serving.guardrails.default_policy import DEFAULT
from serving.guardrails.examine import Guard
from serving.guardrails.stream import OutputFilter
from serving.guardrails.wire import sealed

FOLDER = Path("var/bench/guardrails")
STREAMS, ROUNDS, ASKED = 32, 5, 25
PROMPT_TOKENS, LONG_TOKENS, ANSWER_TOKENS = 64, 500, 96
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
        first, rates = uvloop.run(_measured(clients))
    token_s = STREAMS / median(rates["off"])
    results = rules() | _first_tokens(first) | _rates(rates) | held(token_s)
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


def held(token_s: float) -> dict[str, object]:
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
        "a token, ms": round(token_s * 1e3, 1),
        "a word's delay in the filter, ms p50 (target 20)": round(percentile_ms(waits, 50), 1),
    }


def _client(stack: BenchStack, policy: str) -> SseClient:
    """A key of a project of its own, under `policy`."""
    project = f"default/bench-{policy}"
    _conch(stack, "projects", "create", project)
    if policy == THOROUGH.id:
        file = FOLDER / "thorough.json"
        file.write_text(sealed(THOROUGH).text)
        _conch(stack, "guardrails", "put", str(file))
    _conch(stack, "guardrails", "use", policy, "--project", project)
    told = _conch(stack, "keys", "create", "bench", "--project", project)
    key = re.search(r"ck_live_\w+", told)
    assert key is not None, told
    return SseClient(stack.host, stack.port, key[0], stack.model, max_tokens=ANSWER_TOKENS)


def _conch(stack: BenchStack, *words: str) -> str:
    environment = os.environ | {"CONCH_VAR": str(stack.var), "COLUMNS": "200"}
    command = ["conch", *words]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout


async def _measured(
    clients: dict[str, SseClient],
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Times to the first token of one client, and tokens a second of many, by policy."""
    await asyncio.sleep(2)  # until every gateway has the keys
    rng = np.random.default_rng(6)
    first: dict[str, list[float]] = {policy: [] for policy in clients}
    rates: dict[str, list[float]] = {policy: [] for policy in clients}
    for _ in range(ASKED):
        for policy, client in clients.items():
            answer = await replace(client, max_tokens=1).ask(_prompt(rng, LONG_TOKENS))
            first[policy].append(answer.at_s[0])
    for number in range(ROUNDS):
        for policy in POLICIES if number % 2 else POLICIES[::-1]:
            rates[policy].append(await _rate(clients[policy], rng))
            print(f"round {number} {policy}: {rates[policy][-1]:.0f} tokens/s", flush=True)
    return first, rates


async def _rate(client: SseClient, rng: np.random.Generator) -> float:
    began_s = time.perf_counter()
    prompts = [_prompt(rng, PROMPT_TOKENS) for _ in range(STREAMS)]
    answers = await asyncio.gather(*(client.ask(prompt) for prompt in prompts))
    return sum(answer.tokens for answer in answers) / (time.perf_counter() - began_s)


def _prompt(rng: np.random.Generator, tokens: int) -> list[int]:
    prompt: list[int] = rng.integers(FIRST_ID, LAST_ID, tokens).tolist()
    return prompt


def _first_tokens(first: dict[str, list[float]]) -> dict[str, object]:
    p50 = {policy: percentile_ms(times, 50) for policy, times in first.items()}
    return {
        f"TTFT of {LONG_TOKENS} new tokens without guardrails, ms p50": round(p50["off"], 1),
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
