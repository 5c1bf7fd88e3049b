"""Texts of many requests to vectors, in passes that texts of like length share.

It knows the model and its tokenizer, and nothing of Triton.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from serving.engines.embedding_batches import passes
from serving.engines.embedding_openvino import EmbeddingModel
from serving.engines.embedding_tokens import EmbeddingTokens, Encoded

WIDTH = 384
Vectors = npt.NDArray[np.float32]


class Job:
    """The texts of one request, and the vectors that are there so far."""

    def __init__(self, texts: Sequence[Encoded]) -> None:
        self.texts = texts
        self.vectors: Vectors = np.zeros((len(texts), WIDTH), np.float32)
        self.is_abandoned = False
        self._left = len(texts)

    @property
    def is_done(self) -> bool:
        return self._left == 0

    def take(self, place: int, vector: Vectors) -> None:
        self.vectors[place] = vector
        self._left -= 1


@dataclass(frozen=True, slots=True)
class Pass:
    """What one run of the model was given."""

    jobs: tuple[Job, ...]
    texts: int
    tokens: int


class Embedder:
    """Used by one thread at a time."""

    def __init__(self, tokens: EmbeddingTokens, model: EmbeddingModel) -> None:
        self._tokens = tokens
        self._model = model

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> Self:
        """Raises WeightsError, or OSError where the folder is incomplete."""
        model = EmbeddingModel.load(folder, threads=threads)
        return cls(EmbeddingTokens.load(folder), model)

    def job(self, texts: Sequence[str]) -> Job:
        return Job(self._tokens.encode(texts))

    def run(self, jobs: Sequence[Job]) -> Iterator[Pass]:
        """Yields after each pass; texts of jobs that were abandoned by then are left out."""
        texts = [(job, place) for job in jobs for place in range(len(job.texts))]
        for places in passes([len(job.texts[place].ids) for job, place in texts]):
            wanted = [texts[place] for place in places if not texts[place][0].is_abandoned]
            if wanted:
                yield self._passed(wanted)

    def _passed(self, texts: Sequence[tuple[Job, int]]) -> Pass:
        ids = [job.texts[place].ids for job, place in texts]
        vectors = self._model.embed(ids)
        for (job, place), vector in zip(texts, vectors, strict=True):
            job.take(place, vector)
        jobs = dict.fromkeys(job for job, _ in texts)
        return Pass(tuple(jobs), len(ids), sum(map(len, ids)))
