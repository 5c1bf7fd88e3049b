"""The engine's LoRA cache in the real Triton: it behaves as TensorRT-LLM's does."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from engine_client import PROMPT, Client, Reply, ask, connected, request, worker_of
from random_adapters import DEMO_MODEL, tensors

from serving.contract.errors import UnfitAdapter, from_wire
from serving.lora.weights import LoraTensors

REFERENCE = json.loads((Path(__file__).parent / "data" / "lora_reference.json").read_text())
PLACES = 6
WRAP = r"^Executor failed process requestId \d+ due to the following error: "
MISS = WRAP + r"LoRA task {} not found in cache\. Please send LoRA weights with request$"
FULL = WRAP + r"Cache is full\. There are no done tasks to evict$"
_fresh = count(5_000_000_000_000_000_000)


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


@pytest.fixture
def task() -> int:
    """An id that the engine has never seen."""
    return next(_fresh)


def by_id(task: int, rows: int = 1) -> dict[str, Any]:
    return {"lora_task_id": np.full((rows, 1), task, np.uint64)}


def with_weights(task: int, weights: LoraTensors | None = None) -> dict[str, Any]:
    sent = tensors(task) if weights is None else weights
    return by_id(task) | {"lora_weights": sent.weights[None], "lora_config": sent.config[None]}


async def put(client: Client, *tasks: int) -> None:
    for each in tasks:
        assert (await ask(client, tokens=1, **with_weights(each))).error is None


async def answer(client: Client, *rows: list[int], **more: Any) -> list[int]:
    reply = await ask(client, *rows, **more)
    assert (reply.error, reply.finals) == (None, 1)
    return reply.joined("output_ids")


async def has(client: Client, task: int) -> bool:
    """Whether an adapter is resident; asking uses it."""
    reply = await ask(client, tokens=1, **by_id(task))
    assert reply.error is None or re.match(MISS.format(task), reply.error)
    return reply.error is None


@pytest.fixture
async def residents(client) -> list[int]:
    """As many adapters as there are places, the first used last longest ago."""
    tasks = list(range(1, PLACES + 1))
    await put(client, *tasks)
    return tasks


@asynccontextmanager
async def in_use(client: Client, tasks: list[int], *, sequences: int) -> AsyncIterator[None]:
    """Requests that last for many seconds, until they are hung up on."""
    streams = [
        client.stream(
            "demo_engine",
            request(PROMPT, tokens=900, num_return_sequences=sequences, **by_id(task)),
        )
        for task in tasks
    ]
    readers = [asyncio.create_task(anext(aiter(stream))) for stream in streams]
    open_sequences = len(tasks) * sequences
    await client.until(lambda: client.of_engine("running") + waiting(client) == open_sequences)
    try:
        yield
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await client.until(lambda: client.of_engine("running") + waiting(client) == 0)


def waiting(client: Client) -> float:
    return client.of_engine("waiting")


async def test_weights_are_sent_once_and_then_the_id_is_enough(client, task):
    missed = await ask(client, **by_id(task))
    assert re.match(MISS.format(task), missed.error)
    assert (missed.responses, missed.finals) == ([], 0)
    base = await answer(client)
    first = await answer(client, **with_weights(task))
    assert first != base
    assert await answer(client, **by_id(task)) == first
    assert await answer(client) == base


async def test_weights_for_a_known_id_are_ignored_whatever_they_are(client, residents):
    mine = await answer(client, **by_id(residents[0]))
    others = tensors(residents[1])
    garbage = LoraTensors(np.full((1, 1), np.nan, np.float16), np.full((1, 3), -1, np.int32))
    for weights in (others, garbage):
        assert await answer(client, **with_weights(residents[0], weights)) == mine


async def test_the_least_recently_used_adapter_makes_room(client, residents, task):
    first, second, *others = residents
    assert await has(client, first)
    evictions = client.of_engine("lora_evictions")
    loads = client.of_engine("lora_loads")
    await put(client, task)
    assert client.of_engine("lora_evictions") == evictions + 1
    assert client.of_engine("lora_loads") == loads + 1
    assert client.of_engine("lora_load_seconds_count") == loads + 1
    assert client.of_engine("lora_resident") == PLACES
    kept = (first, *others, task)
    assert [each for each in (*residents, task) if await has(client, each)] == sorted(kept)
    assert not await has(client, second)


async def test_a_cache_of_adapters_in_use_is_full(client, residents, task):
    async with in_use(client, residents, sequences=10):
        full = await ask(client, **with_weights(task))
        assert re.match(FULL, full.error)
        assert (full.responses, full.finals) == ([], 0)
    await put(client, task)
    assert not await has(client, residents[0])


async def test_a_stream_of_the_base_model_goes_on_while_an_adapter_loads(client, task):
    base = Reply()
    stream = client.stream(
        "demo_engine", request(PROMPT, tokens=900, num_return_sequences=10, streaming=True)
    )

    async def read() -> None:
        with suppress(asyncio.CancelledError):
            async for result, error in stream:
                assert error is None
                base.responses.append({"output_ids": result.as_numpy("output_ids")})

    reading = asyncio.create_task(read())
    await client.until(lambda: len(base.responses) > 4)
    before = len(base.responses)
    await put(client, task)
    assert len(base.responses) > before + 4
    stream.cancel()
    await reading


async def test_a_client_that_leaves_while_its_adapter_loads_leaves_the_adapter(client, task):
    arrays = request(PROMPT, tokens=900, num_return_sequences=10, **with_weights(task))
    stream = client.stream("demo_engine", arrays)
    reader = asyncio.create_task(anext(aiter(stream)))
    await client.until(lambda: client.running() + waiting(client) == 10)
    stream.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await client.until(lambda: client.running() + waiting(client) == 0)
    assert await has(client, task)


async def test_rows_of_a_batch_each_have_their_adapter(client):
    await put_references(client)
    adapters = REFERENCE["adapters"]
    best = [adapter["answers"][0] for adapter in adapters]
    ids = np.array([[adapter["seed"]] for adapter in adapters], np.uint64)
    rows = [each["prompt"] for each in best]
    reply = await ask(client, *rows, tokens=len(best[0]["answer"]), lora_task_id=ids)
    found = [reply.joined("output_ids", batch_index=row) for row in range(len(rows))]
    assert found == [each["answer"] for each in best]


async def put_references(client: Client) -> None:
    await put(client, *(adapter["seed"] for adapter in REFERENCE["adapters"]))


async def test_tokens_are_those_of_peft_on_the_same_adapter(client):
    """Recorded by data/make_lora_reference.py, which says what is compared."""
    model = hashlib.sha256((DEMO_MODEL / "openvino_model.bin").read_bytes()).hexdigest()
    assert model == REFERENCE["model_sha256"], "the model is another one: record its answers anew"
    await put_references(client)
    for adapter in REFERENCE["adapters"]:
        for each in adapter["answers"]:
            length = len(each["answer"])
            made = await answer(client, each["prompt"], tokens=length, **by_id(adapter["seed"]))
            assert made == each["answer"]


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (tensors(1, rank=65), "65"),
        (LoraTensors(np.zeros((1, 64), np.float16), np.array([[1, 0, 8]], np.int32)), ""),
    ],
)
async def test_an_adapter_that_does_not_fit_is_refused_with_the_reason(client, task, weights, told):
    refused = from_wire((await ask(client, **with_weights(task, weights))).error)
    assert isinstance(refused, UnfitAdapter)
    assert told in refused.message
    assert not await has(client, task)


@pytest.mark.parametrize("left_out", ["lora_task_id", "lora_weights", "lora_config"])
async def test_half_an_adapter_is_refused(client, task, left_out):
    arrays = with_weights(task)
    del arrays[left_out]
    refused = from_wire((await ask(client, **arrays)).error)
    assert (refused.status, refused.param) == (400, left_out)


async def test_an_engine_that_was_killed_has_lost_its_adapters(client, stack, task):
    await put(client, task)
    killed = worker_of(stack)
    killed.kill()
    psutil.wait_procs([killed], timeout=10)

    async def is_serving() -> bool:
        return (await ask(client, tokens=1)).error is None

    async with asyncio.timeout(20):
        while not await is_serving():
            await asyncio.sleep(0.01)
    assert client.of_engine("lora_resident") == 0
    assert not await has(client, task)
    await put(client, task)
