"""The engine model in the real Triton, by plain tritonclient: TensorRT-LLM's own contract."""

import asyncio
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tritonclient.grpc import aio as triton
from tritonclient.utils import np_to_triton_dtype

from serving.bls.engine_tensors import word_list
from serving.contract.errors import from_wire

FREED_WITHIN_S = 0.25
Arrays = Mapping[str, Any]


@dataclass
class Reply:
    """What one request got."""

    responses: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    finals: int = 0

    def joined(self, name: str, **where: int) -> list[Any]:
        """Values of an output of all responses, of those that have `where`."""
        mine = [r for r in self.responses if all(r[k].item() == v for k, v in where.items())]
        return [value for r in mine if name in r for value in r[name].reshape(-1).tolist()]


class Client:
    """One gRPC connection, and the metrics of the same Triton."""

    def __init__(self, grpc: str, metrics_url: str) -> None:
        self._grpc = triton.InferenceServerClient(grpc)
        self._metrics_url = metrics_url

    async def close(self) -> None:
        await self._grpc.close()

    def stream(self, model: str, arrays: Arrays, request_id: str = "", outputs=()) -> Any:
        """Raw responses of one request; `cancel()` hangs up."""

        async def requests() -> AsyncIterator[dict[str, Any]]:
            yield {
                "model_name": model,
                "inputs": [_input(name, array) for name, array in arrays.items()],
                "outputs": [triton.InferRequestedOutput(name) for name in outputs] or None,
                "request_id": request_id,
                "enable_empty_final_response": True,
            }

        return self._grpc.stream_infer(requests())

    async def ask(self, model: str, arrays: Arrays, request_id: str = "", outputs=()) -> Reply:
        """All that one request gets, up to FINAL and a moment beyond."""
        reply = Reply()
        async for result, error in self.stream(model, arrays, request_id, outputs):
            if error is not None:
                reply.error = error.message()
                return reply
            response = result.get_response()
            if response.outputs:
                reply.responses.append({o.name: result.as_numpy(o.name) for o in response.outputs})
            reply.finals += response.parameters["triton_final_response"].bool_param
        return reply

    def metrics(self) -> dict[str, float]:
        """Every sample, by name and model: `conch_engine_running/demo_engine`."""
        with urllib.request.urlopen(self._metrics_url) as page:
            text = page.read().decode()
        found = re.findall(r'^(\w+)\{(?:[^}]*,)?model="([^"]+)"[^}]*\} (\S+)$', text, re.MULTILINE)
        return {f"{name}/{model}": float(value) for name, model, value in found}

    def running(self) -> float:
        return self.metrics()["conch_engine_running/demo_engine"]

    async def until(self, holds: Callable[[], bool], within_s: float = 10.0) -> float:
        """Seconds until it holds."""
        started_s = time.monotonic()
        while not holds():
            assert time.monotonic() - started_s < within_s
            await asyncio.sleep(0.005)
        return time.monotonic() - started_s


def _input(name: str, array: Any) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array)


@asynccontextmanager
async def connected(stack: Any) -> AsyncIterator[Client]:
    client = Client(stack.triton_grpc, stack.triton_metrics_url)
    try:
        await client.until(lambda: client.running() == 0)
        yield client
        await client.until(lambda: client.running() == 0)
    finally:
        await client.close()


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


def request(*rows: list[int], tokens: int = 8, **more: Any) -> dict[str, Any]:
    """One row a prompt, each of the same length."""
    count = len(rows)
    arrays = {
        "input_ids": np.array(rows, np.int32),
        "input_lengths": np.full((count, 1), len(rows[0]), np.int32),
        "request_output_len": np.full((count, 1), tokens, np.int32),
    }
    for name, value in more.items():
        is_array = isinstance(value, np.ndarray)
        arrays[name] = value if is_array else _scalar(value, count)
    return arrays


def _scalar(value: Any, count: int) -> Any:
    dtype = {bool: np.bool_, int: np.int32, float: np.float32, bytes: np.object_}[type(value)]
    return np.full((count, 1), value, dtype)


PROMPT = list(range(300, 316))


async def ask(client: Client, *rows: list[int], **more: Any) -> Reply:
    return await client.ask("demo_engine", request(*(rows or (PROMPT,)), **more))


async def test_an_answer_that_is_not_streamed_comes_whole(client):
    reply = await ask(client)
    assert (len(reply.responses), reply.finals, reply.error) == (1, 1, None)
    assert reply.responses[0]["output_ids"].shape == (1, 1, 8)
    assert reply.joined("sequence_length") == [8]


async def test_a_streamed_answer_is_the_same_in_pieces(client):
    whole, streamed = await ask(client, tokens=40), await ask(client, tokens=40, streaming=True)
    assert streamed.joined("output_ids") == whole.joined("output_ids")
    assert len(streamed.responses) > 1
    assert (streamed.finals, sum(streamed.joined("sequence_length"))) == (1, 40)


@pytest.mark.parametrize("streaming", [False, True])
async def test_rows_of_a_batch_are_answered_each_by_its_index(client, streaming):
    other = list(range(400, 416))
    alone = [(await ask(client, row)).joined("output_ids") for row in (PROMPT, other)]
    both = await ask(client, PROMPT, other, streaming=streaming)
    assert both.finals == 1
    assert [both.joined("output_ids", batch_index=row) for row in (0, 1)] == alone


@pytest.mark.parametrize("streaming", [False, True])
async def test_sequences_are_answered_each_by_its_index(client, streaming):
    sampling = {"runtime_top_p": 1.0, "temperature": 1.5, "seed": np.array([[7]], np.uint64)}
    replies = [
        await ask(client, num_return_sequences=3, streaming=streaming, **sampling) for _ in range(2)
    ]
    first, again = (
        [reply.joined("output_ids", sequence_index=index) for index in range(3)]
        for reply in replies
    )
    assert len(set(map(tuple, first))) == 3
    assert again == first
    assert [reply.finals for reply in replies] == [1, 1]


async def test_only_the_outputs_that_were_asked_for_come(client):
    arrays = request(PROMPT, return_perf_metrics=True)
    reply = await client.ask("demo_engine", arrays, outputs=("output_ids", "sequence_length"))
    assert reply.responses[0].keys() == {"output_ids", "sequence_length"}


async def test_times_and_counts_come_with_their_flags(client):
    flags = ("return_perf_metrics", "return_num_input_tokens", "return_num_output_tokens")
    reply = await ask(client, streaming=True, tokens=20, **dict.fromkeys(flags, True))
    names = ("arrival", "first_scheduled", "first_token", "last_token")
    times = [reply.joined(f"{name}_time_ns") for name in names]
    assert [len(values) for values in times] == [1] * 4
    assert times == sorted(times)
    assert sum(reply.joined("num_output_tokens")) == 20
    assert set(reply.joined("num_input_tokens")) == {16}


async def test_logprobs_come_with_their_tokens(client):
    reply = await ask(client, return_log_probs=True, streaming=True)
    values = reply.joined("output_log_probs")
    assert len(values) == 8
    assert reply.joined("cum_log_probs")[-1] == pytest.approx(sum(values), abs=1e-3)


async def test_the_input_goes_first_when_asked_for(client):
    reply = await ask(client, exclude_input_in_output=False, streaming=True)
    assert reply.joined("output_ids")[:16] == PROMPT
    assert len(reply.joined("output_ids")) == 24


async def test_stop_words_and_the_end_id_end_the_answer(client):
    free = (await ask(client)).joined("output_ids")
    stopped = await ask(client, stop_words_list=word_list([[free[2], free[3]]]))
    assert stopped.joined("output_ids") == free[:4]
    ended = await ask(client, end_id=free[3])
    assert ended.joined("output_ids") == free[: free.index(free[3]) + 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beam_width", 2),
        ("embedding_bias", np.ones((1, 4), np.float32)),
        ("lora_task_id", np.ones((1, 1), np.uint64)),
        ("bad_words_list", np.array([[[5], [1]]], np.int32)),
        ("return_context_logits", True),
        ("runtime_top_p", 2.0),
        ("temperature", float("nan")),
        ("request_output_len", 10**6),
        ("input_lengths", 17),
        ("stop_words_list", np.array([[[-3], [1]]], np.int32)),
        ("input_ids", np.full((1, 16), 10**6, np.int32)),
        ("guided_decoding_guide_type", b"yaml"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_by_name(client, name, value):
    reply = await ask(client, **{name: value})
    error = from_wire(reply.error)
    assert (error.status, reply.responses, "Traceback" in reply.error) == (400, [], False)
    assert error.param == ("input_ids" if name == "request_output_len" else name)


async def test_a_refusal_touches_no_other_request(client):
    fine = asyncio.create_task(ask(client, tokens=300, streaming=True))
    await client.until(lambda: client.running() == 1)
    for _ in range(20):
        assert (await ask(client, beam_width=2)).error is not None
    reply = await fine
    assert (reply.error, reply.finals, len(reply.joined("output_ids"))) == (None, 1, 300)


async def test_the_load_counts_what_is_not_streamed_too(client):
    tasks = [asyncio.create_task(ask(client, tokens=500)) for _ in range(3)]
    await client.until(lambda: client.running() == 3)
    await asyncio.gather(*tasks)


async def test_a_stop_by_the_same_id_ends_it_with_what_was_made(client):
    arrays = request(PROMPT, tokens=900, streaming=True)
    running = asyncio.create_task(client.ask("demo_engine", arrays, "to-be-stopped"))
    await client.until(lambda: client.running() == 1)
    stopped = await client.ask("demo_engine", request([0], stop=True), "to-be-stopped")
    assert (stopped.error, stopped.responses, stopped.finals) == (None, [], 1)
    reply = await running
    assert (reply.error, reply.finals) == (None, 1)
    assert 0 < len(reply.joined("output_ids")) < 900


async def test_stopping_what_nobody_knows_is_fine_and_without_an_id_is_not(client):
    assert (await client.ask("demo_engine", request([0], stop=True), "unknown")).error is None
    reply = await client.ask("demo_engine", request([0], stop=True))
    assert "request ID is not provided" in reply.error


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_hangs_up_frees_the_engine(client, streaming):
    streams = [
        client.stream("demo_engine", request(PROMPT, tokens=900, streaming=streaming))
        for _ in range(4)
    ]
    readers = [asyncio.create_task(anext(aiter(stream))) for stream in streams]
    await client.until(lambda: client.running() == 4)
    for stream in streams:
        stream.cancel()
    assert await client.until(lambda: client.running() == 0) <= FREED_WITHIN_S
    await asyncio.gather(*readers, return_exceptions=True)


def worker_of(stack) -> psutil.Process:
    """The step loop's process of this stack's engine."""
    mark = f"CONCH_VAR={stack.var}".encode()
    for process in psutil.process_iter(["cmdline"]):
        is_worker = "serving.engines.worker" in (process.info["cmdline"] or ())
        if is_worker and mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
            return process
    raise AssertionError("the engine has no process")


async def test_a_killed_engine_fails_what_ran_and_serves_again_under_load(client, stack):
    running = [asyncio.create_task(ask(client, tokens=900, streaming=True)) for _ in range(3)]
    await client.until(lambda: client.running() == 3)
    killed = worker_of(stack)
    killed.kill()
    for reply in await asyncio.wait_for(asyncio.gather(*running), 5):
        assert (from_wire(reply.error).code, reply.finals) == ("engine_failed", 0)
    started_s = time.monotonic()
    while (reply := await asyncio.wait_for(ask(client, tokens=4), 5)).error is not None:
        assert from_wire(reply.error).is_retryable
        assert time.monotonic() - started_s < 10
        await asyncio.sleep(0.002)
    assert len(reply.joined("output_ids")) == 4
    assert not killed.is_running()
