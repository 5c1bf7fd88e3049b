"""The Triton model `guard`: texts in, verdicts and redacted texts out."""

import asyncio
from typing import Any

from serving.adapters import python_backend
from serving.adapters.python_backend import ModelConfig, answer_all, log_exception, release
from serving.adapters.triton_stream import TritonStream
from serving.bls.embeddings import Embeddings
from serving.bls.guard_metrics import GuardMetrics
from serving.bls.guard_texts import Array, decode, encode, read
from serving.bls.guards import Guards
from serving.contract.tensors import GUARD_INPUTS


class GuardModel:
    """What `model.py` exports as TritonPythonModel. Requests of a batch are read together."""

    def initialize(self, args: dict[str, str]) -> None:
        config = ModelConfig(args)
        metrics = GuardMetrics(python_backend, config.name, log_exception)
        embeddings = Embeddings(TritonStream().infer, config.text("embedding", "embedding"))
        self._guards = Guards(embeddings, metrics.tell, metrics.failed, metrics.wait_ms)
        self._loop = asyncio.new_event_loop()

    def execute(self, requests: list[Any]) -> list[Any]:
        return self._loop.run_until_complete(answer_all(requests, self._answer))

    def finalize(self) -> None:
        self._loop.close()
        del self._guards
        release()

    async def _answer(self, arrays: dict[str, Array]) -> dict[str, Array]:
        asked = decode({t.name: arrays[t.name] for t in GUARD_INPUTS if t.name in arrays})
        return encode(asked, await read(self._guards, asked))
