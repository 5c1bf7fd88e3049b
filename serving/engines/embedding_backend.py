"""The Triton model `embedding`: requests of a dynamic batch, answered as their texts are done."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from serving.adapters.python_backend import (
    ModelConfig,
    Request,
    counter,
    load_error,
    log_exception,
    log_info,
    release,
)
from serving.contract.errors import Cancelled, ConchError, EngineFailed, InternalError
from serving.engines.embedding import Embedder, Job, Pass
from serving.engines.embedding_requests import encode, texts_of
from serving.engines.embedding_weights import WeightsError, installed

LOOK_S = 0.05  # how often a long batch looks whose clients have left


class EmbeddingBackend:
    """What `model.py` exports as TritonPythonModel."""

    def initialize(self, args: dict[str, str]) -> None:
        config = ModelConfig(args)
        threads = config.number("threads", 0) or None
        try:
            folder = Path(config.parameter("model") or installed())
            self._embedder = Embedder.load(folder, threads=threads)
        except (WeightsError, OSError) as error:
            raise load_error(str(error)) from None
        self._count_texts = _counter(config, "texts", "Texts embedded")
        self._count_tokens = _counter(config, "tokens", "Tokens of the texts embedded")
        self._count_passes = _counter(config, "passes", "Runs of the model")
        log_info(f"{config.name}: {folder}")

    def execute(self, requests: list[Any]) -> None:
        """Answers by itself: who asked for one text does not wait for who asked for many."""
        opened = [opened for request in requests if (opened := self._opened(Request(request)))]
        try:
            self._run({one.job: one for one in opened})
        except Exception as error:  # the model goes on with the next batch
            log_exception(f"a batch of {len(opened)} requests", error)
            for one in opened:
                one.fail(EngineFailed("the embedding model failed on this batch; send it again"))

    def finalize(self) -> None:
        del self._embedder, self._count_texts, self._count_tokens, self._count_passes
        release()

    def _opened(self, request: Request) -> "_Open | None":
        try:
            return _Open.of(request, self._embedder)
        except ConchError as error:
            request.fail(error)
        except Exception as error:  # one bad request must not end the others of its batch
            log_exception(f"request '{request.id}'", error)
            request.fail(InternalError("internal error in the embedding model"))
        return None

    def _run(self, opened: "dict[Job, _Open]") -> None:
        looked_s = time.monotonic()
        for passed in self._embedder.run(list(opened)):
            self._count(passed)
            for job in passed.jobs:
                opened[job].answer_if_done()
            if time.monotonic() - looked_s > LOOK_S:  # asking Triton is not for nothing
                for one in opened.values():
                    one.end_if_cancelled()
                looked_s = time.monotonic()

    def _count(self, passed: Pass) -> None:
        self._count_texts(passed.texts)
        self._count_tokens(passed.tokens)
        self._count_passes(1)


class _Open:
    """A request that is to be answered once, and what is done for it."""

    def __init__(self, request: Request, shape: tuple[int, ...], job: Job) -> None:
        self.job = job
        self._request = request
        self._shape = shape
        self._is_ended = False

    @classmethod
    def of(cls, request: Request, embedder: Embedder) -> "_Open":
        """Raises InvalidRequest."""
        shape, texts = texts_of(request.arrays())
        return cls(request, shape, embedder.job(texts))

    def answer_if_done(self) -> None:
        if self.job.is_done and not self._is_ended:
            self._is_ended = True
            vectors = np.ascontiguousarray(self.job.vectors)
            self._request.send(encode(self._shape, self.job.texts, vectors), is_final=True)

    def end_if_cancelled(self) -> None:
        if not self._is_ended and self._request.is_cancelled():
            self.job.is_abandoned = True
            self.fail(Cancelled("the client hung up"))

    def fail(self, error: ConchError) -> None:
        if not self._is_ended:
            self._is_ended = True
            self._request.fail(error)


def _counter(config: ModelConfig, name: str, what: str) -> Any:
    return counter(f"conch_embedding_{name}", what, config.name)
