"""A scripted engine for tests: answers as the engine model does, through the same tensors."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Script = Callable[["Stream"], Iterator[dict[str, Any]]]


def response(ids: Sequence[int], *, logprobs: Sequence[float] = (), is_last: bool = False):
    arrays = {
        "output_ids": np.array([[list(ids)]], np.int32),
        "sequence_length": np.array([[len(ids)]], np.int32),
    }
    if logprobs:
        arrays["output_log_probs"] = np.array([[list(logprobs)]], np.float32)
    if is_last:
        names = ("arrival", "first_scheduled", "first_token", "last_token")
        times = {f"{name}_time_ns": place * 10**6 for place, name in enumerate(names)}
        arrays |= {name: np.array([[value]], np.int64) for name, value in times.items()}
    return arrays


@dataclass
class Stream:
    """One engine request that is open."""

    arrays: dict[str, Any]
    number: int
    is_stopped: threading.Event = field(default_factory=threading.Event)


class ScriptedEngine:
    """`infer` of engine requests that follow `script`, and of the stops that end them."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.open: dict[str, Stream] = {}
        self.stops: list[str] = []
        self.lost_stops = 0
        self.begun = 0
        self.most_open = 0
        self.outputs: list[tuple[str, ...]] = []

    def __call__(self, model, arrays, outputs, *, request_id):
        if "stop" in arrays:
            return self._stop(request_id)
        return self._run(arrays, outputs, request_id)

    async def _stop(self, request_id):
        self.stops.append(request_id)
        stream = self.open.get(request_id)
        if stream is None:
            self.lost_stops += 1
        else:
            stream.is_stopped.set()
        return
        yield

    async def _run(self, arrays, outputs, request_id):
        """Closed early, the stream ends too: Triton cancels what nobody reads any more."""
        self.begun += 1
        stream = Stream(arrays, self.begun)
        assert request_id not in self.open
        self.open[request_id] = stream
        self.most_open = max(self.most_open, len(self.open))
        self.outputs.append(tuple(outputs))
        script = self._script(stream)
        try:
            while (made := await asyncio.to_thread(next, script, None)) is not None:
                yield made
        finally:
            stream.is_stopped.set()
            del self.open[request_id]


def until_stopped(*ids: int, pause_s: float = 0.002) -> Script:
    """Sends `ids` over and over until it is stopped."""

    def script(stream):
        while not stream.is_stopped.wait(pause_s):
            yield response(ids)
        yield response([], is_last=True)

    return script


def saying(ids: Sequence[int], *, logprobs: Sequence[float] = ()) -> Script:
    """Sends `ids` one by one, each with its logprob when there are any."""

    def script(stream):
        for place, token_id in enumerate(ids):
            is_last = place == len(ids) - 1
            yield response([token_id], logprobs=logprobs[place : place + 1], is_last=is_last)

    return script
