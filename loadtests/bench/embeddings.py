"""`make bench-embeddings`: the embedding model in micro-batches and one by one, in one run.

Both are the same code on the same Triton: the one with its dynamic batching, the other without.
`--delays` compares queue delays instead.
"""

import asyncio
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np
import uvloop
from tritonclient.grpc import service_pb2, service_pb2_grpc

from enginebuild.repository import EMBEDDING, embedding, write_embedding
from loadtests.bench.bare_triton import BareTriton, bare_triton
from loadtests.bench.cpu import cpu_seconds, spent
from loadtests.bench.workload import percentile_ms

ONE_BY_ONE = "one_by_one"
DELAYS_MS = (0, 1, 2, 4, 8)
CLIENTS = (1, 8, 32)
ROUNDS = 5
HEAD = "| texts | clients | model | texts/s | p50 ms | p95 ms | CPU ms a text |"
TARGET_CLIENTS, TARGET_RATIO = 32, 3.0
PROSE = (
    "how do I change the password of my account after a long journey over calm seas where "
    "small boats carry letters between islands and every harbour keeps a lamp for the night"
)
WORDS = PROSE.split()


@dataclass(frozen=True, slots=True)
class Kind:
    """Texts of one sort, and how many of them a round has."""

    least_words: int
    most_words: int
    texts: int


# What people type into a search, what they ask, and the pieces that documents are cut into.
KINDS = {
    "searches": Kind(2, 6, 256),
    "questions": Kind(6, 16, 256),
    "passages": Kind(40, 120, 32),
}


@dataclass(frozen=True, slots=True)
class Load:
    """`clients` at a time, each sending one text after another to `model`."""

    model: str
    kind: str
    clients: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One round: how many texts a second were embedded, how long one took, and its CPU time."""

    load: Load
    texts_per_s: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float


def main(arguments: Sequence[str]) -> None:
    """Prints a table; the last line is the ratio that is aimed at."""
    compares_delays = "--delays" in arguments
    with TemporaryDirectory() as folder:
        names = _written(Path(folder), compares_delays=compares_delays)
        with bare_triton(Path(folder), names) as triton:
            measured = uvloop.run(_rounds(triton, names))
    print(f"{platform.machine()}, {os.cpu_count()} cores, {ROUNDS} rounds, medians\n")
    print(_table(measured))
    if not compares_delays:
        print("\n" + _verdict(measured))


def _written(folder: Path, *, compares_delays: bool) -> list[str]:
    if compares_delays:
        entries = [embedding(f"delay_{ms}_ms", most_delay_us=ms * 1000) for ms in DELAYS_MS]
    else:
        alone = replace(embedding(ONE_BY_ONE), max_batch_size=1, batching=None)
        entries = [alone, embedding()]
    for entry in entries:
        write_embedding(folder, entry)
    return [entry.name for entry in entries]


async def _rounds(triton: BareTriton, names: Sequence[str]) -> list[Measured]:
    """Models take turns, so that a busy moment of the machine hits all of them alike."""
    measured = []
    async with grpc.aio.insecure_channel(triton.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        loads = [Load(n, kind, c) for kind in KINDS for c in CLIENTS for n in names]
        for number in range(ROUNDS + 1):
            for load in loads:
                result = await _round(stub, triton.pid, load, number)
                if number:  # the first one warms up
                    measured.append(result)
    return measured


async def _round(stub: Any, pid: int, load: Load, number: int) -> Measured:
    each = KINDS[load.kind].texts // load.clients
    before, began_s = cpu_seconds(pid, os.getpid()), time.perf_counter()
    took = await asyncio.gather(
        *(_client(stub, _requests(load, number, client, each)) for client in range(load.clients))
    )
    rate = each * load.clients / (time.perf_counter() - began_s)
    cpu_s = spent(before, cpu_seconds(pid, os.getpid()))[f"stub {load.model}"]
    all_s = [seconds for of_client in took for seconds in of_client]
    cpu_ms = cpu_s * 1e3 / len(all_s)
    return Measured(load, rate, percentile_ms(all_s, 50), percentile_ms(all_s, 95), cpu_ms)


async def _client(stub: Any, requests: Iterable[service_pb2.ModelInferRequest]) -> list[float]:
    took = []
    for request in requests:
        began_s = time.perf_counter()
        await stub.ModelInfer(request)
        took.append(time.perf_counter() - began_s)
    return took


def _requests(
    load: Load, number: int, client: int, count: int
) -> Iterator[service_pb2.ModelInferRequest]:
    """The same texts for every model."""
    rng = np.random.default_rng([number, load.clients, client])
    kind = KINDS[load.kind]
    for _ in range(count):
        words = rng.choice(WORDS, rng.integers(kind.least_words, kind.most_words + 1))
        yield _request(load.model, " ".join(words).encode())


def _request(model: str, text: bytes) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(len(text).to_bytes(4, "little") + text)
    return request


def _table(measured: Sequence[Measured]) -> str:
    lines = [HEAD, "|---" * 7 + "|"]
    for load in dict.fromkeys(m.load for m in measured):
        mine = [m for m in measured if m.load == load]
        lines.append(
            f"| {load.kind} | {load.clients} | {load.model} | "
            f"{median(m.texts_per_s for m in mine):.0f} | {median(m.p50_ms for m in mine):.1f} | "
            f"{median(m.p95_ms for m in mine):.1f} | {median(m.cpu_ms for m in mine):.2f} |"
        )
    return "\n".join(lines)


def _verdict(measured: Sequence[Measured]) -> str:
    ratios = {kind: _ratio(measured, kind) for kind in KINDS}
    told = ", ".join(f"{kind} {ratio:.2f}" for kind, ratio in ratios.items())
    is_met = ratios["searches"] >= TARGET_RATIO
    return (
        f"micro-batching over one-by-one at {TARGET_CLIENTS} clients: {told} "
        f"(searches are to reach {TARGET_RATIO:g}: {'met' if is_met else 'NOT met'})"
    )


def _ratio(measured: Iterable[Measured], kind: str) -> float:
    """The median over the rounds of the two models' ratio in the same round."""
    rates: dict[str, list[float]] = {EMBEDDING: [], ONE_BY_ONE: []}
    for m in measured:
        if (m.load.kind, m.load.clients) == (kind, TARGET_CLIENTS):
            rates[m.load.model].append(m.texts_per_s)
    pairs = zip(rates[EMBEDDING], rates[ONE_BY_ONE], strict=True)
    return median(batched / single for batched, single in pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
