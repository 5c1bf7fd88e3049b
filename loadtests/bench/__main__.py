"""`make bench`: every layer at 1, 8 and 32 clients, in one run on one machine."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import grpc
import uvloop

from loadtests.bench import model, report
from loadtests.bench.clients import Ask, GrpcClient, SseClient, run
from loadtests.bench.cpu import cpu_seconds, spent
from loadtests.bench.stack import BenchStack, bench_stack
from loadtests.bench.workload import Load, Measured

CLIENTS = (1, 8, 32)
ROUNDS = 5
REQUESTS_EACH = {1: 6, 8: 4, 32: 3}
FOLDER = Path("var/bench")


def main() -> None:
    path = model.ensure(FOLDER)
    with raw_engine(path) as raw, bench_stack(path, FOLDER) as stack:
        measured = list(_rounds(raw, stack))
    table = report.rows(measured)
    print(
        f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{ROUNDS} rounds, medians\n"
    )
    print(report.markdown(table))
    print("\n" + json.dumps(report.targets(table), indent=2))
    results = {"targets": report.targets(table), "rows": [asdict(row) for row in table]}
    (FOLDER / "results.json").write_text(json.dumps(results, indent=2))


@contextmanager
def raw_engine(path: Path) -> Iterator[Connection]:
    """The raw engine in a process of its own, loaded and idle."""
    ours, theirs = Pipe()
    command = [sys.executable, "-m", "loadtests.bench.raw", str(theirs.fileno()), str(path)]
    child = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    theirs.close()
    with ours:
        yield ours
    child.wait()


def _rounds(raw: Connection, stack: BenchStack) -> Iterator[Measured]:
    for clients in CLIENTS:
        for number in range(ROUNDS + 1):
            for layer in report.LAYERS:
                measured = _measured(
                    raw, stack, Load(layer, clients, REQUESTS_EACH[clients], number)
                )
                if number == 0:  # the first round warms up
                    continue
                print(f"{clients:3} {layer:8} {measured.tokens_per_s:7.0f} tokens/s", flush=True)
                yield measured


def _measured(raw: Connection, stack: BenchStack, load: Load) -> Measured:
    if load.layer != "raw":
        return uvloop.run(_measured_layer(stack, load))
    raw.send(load)
    answers, seconds, cpu_s = raw.recv()
    return Measured(load, seconds, tuple(answers), {"engine": cpu_s})


async def _measured_layer(stack: BenchStack, load: Load) -> Measured:
    async with grpc.aio.insecure_channel(stack.triton_grpc) as channel:
        ask = _ask(load.layer, stack, channel)
        before, started_s = cpu_seconds(stack.pid, os.getpid()), time.perf_counter()
        answers = await run(load, ask)
        seconds = time.perf_counter() - started_s
        used = spent(before, cpu_seconds(stack.pid, os.getpid()))
    return Measured(load, seconds, tuple(answers), used)


def _ask(layer: str, stack: BenchStack, channel: grpc.aio.Channel) -> Ask:
    if layer == "gateway":
        return SseClient(stack.host, stack.port, stack.api_key, stack.model).ask
    is_engine = layer == "engine"
    name = f"{stack.model}_engine" if is_engine else stack.model
    return GrpcClient(channel, name, is_engine).ask


if __name__ == "__main__":
    main()
