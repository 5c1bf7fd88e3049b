"""An engine model in the real Triton by plain tritonclient, and the process behind it."""

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
from tritonclient.grpc import aio as triton
from tritonclient.utils import np_to_triton_dtype

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
        """Sums of samples by name and model: `conch_engine_running/demo_engine`.

        A model that was loaded again counts on in another process, whose samples have its pid.
        """
        with urllib.request.urlopen(self._metrics_url) as page:
            text = page.read().decode()
        found = re.findall(r'^(\w+)\{(?:[^}]*,)?model="([^"]+)"[^}]*\} (\S+)$', text, re.MULTILINE)
        sums: dict[str, float] = {}
        for name, model, value in found:
            sums[f"{name}/{model}"] = sums.get(f"{name}/{model}", 0.0) + float(value)
        return sums

    def of_engine(self, name: str) -> float:
        """The engine model's sample of `conch_engine_<name>`."""
        return self.metrics()[f"conch_engine_{name}/demo_engine"]

    def running(self) -> float:
        return self.of_engine("running")

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


def worker_of(stack: Any) -> psutil.Process:
    """The step loop's process of this stack's engine."""
    mark = f"CONCH_VAR={stack.var}".encode()
    for process in psutil.process_iter(["cmdline"]):
        is_worker = "serving.engines.worker" in (process.info["cmdline"] or ())
        if is_worker and mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
            return process
    raise AssertionError("the engine has no process")
