"""The embedding model on OpenVINO: token ids of several texts in, one unit vector each out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import openvino as ov

from serving.engines.embedding_batches import rounded, row_length
from serving.engines.embedding_graph import graph
from serving.engines.embedding_weights import load

Vectors = npt.NDArray[np.float32]


class EmbeddingModel:
    """Compiled once, for any number and length of texts. One thread may use it at a time."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()

    @classmethod
    def load(cls, folder: Path, *, threads: int | None = None) -> Self:
        """Raises WeightsError where the weights are missing or others than the known ones."""
        model = graph(load(folder / "model.safetensors"))
        return cls(ov.Core().compile_model(model, "CPU", _options(threads or _half())))

    def embed(self, texts: Sequence[Sequence[int]]) -> Vectors:
        """[texts, 384]. The GIL is released meanwhile."""
        vectors: Vectors = self._request.infer(_inputs(texts))[0]
        return vectors.astype(np.float32)  # a copy: the next call writes over the original


def _inputs(texts: Sequence[Sequence[int]]) -> list[npt.NDArray[Any]]:
    """As `graph` has them. Tokens beyond the texts' own are in no row: they change nothing."""
    lengths = np.array([len(text) for text in texts])
    has_token = np.arange(row_length(int(lengths.max()))) < lengths[:, None]
    total = int(lengths.sum())
    rows = np.zeros(has_token.shape, np.int32)
    rows[has_token] = np.arange(total)
    flat = [np.concatenate(list(texts)), np.nonzero(has_token)[1], np.flatnonzero(has_token)]
    ids, positions, back = (_lengthened(array, rounded(total)) for array in flat)
    return [ids, positions, rows, has_token.astype(np.float32), back]


def _lengthened(array: npt.NDArray[Any], length: int) -> npt.NDArray[np.int32]:
    return np.pad(array, (0, length - len(array))).astype(np.int32)


def _half() -> int:
    """The other half of the cores is for the engine that generates, which shares the machine."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def _options(threads: int) -> dict[str, Any]:
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Pinned, its threads would share the cores that the other engine's are pinned to.
        "ENABLE_CPU_PINNING": False,
    }
