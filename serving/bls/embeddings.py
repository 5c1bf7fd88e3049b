"""Texts to vectors, by the embedding model of the same Triton; the last ones are remembered."""

import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from serving.bls.engine import Arrays, new_request_id
from serving.contract.errors import EngineFailed

Vectors = npt.NDArray[np.float32]
EMBEDDING = "embedding"
MAX_REMEMBERED = 4096  # vectors of 384 floats: 6 MB
MAX_TEXTS = 64  # of one request


class Infer(Protocol):
    """Calls a model and yields its responses."""

    def __call__(
        self, model: str, arrays: Arrays, outputs: Sequence[str], *, request_id: str
    ) -> AsyncGenerator[Arrays, None]: ...


class Embeddings:
    """Vectors of unit length. A text that was seen a moment ago costs nothing."""

    def __init__(self, infer: Infer, model: str = EMBEDDING) -> None:
        self._infer = infer
        self._model = model
        self._known: OrderedDict[bytes, npt.NDArray[np.float32]] = OrderedDict()

    async def of(self, texts: Sequence[str]) -> Vectors:
        """[texts, width]. Raises ConchError where the model is away or fails."""
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        # Taken now: while the others are computed, some of these may be forgotten.
        known = {key: self._known[key] for key in keys if key in self._known}
        unknown = {k: text for k, text in zip(keys, texts, strict=True) if k not in known}
        known |= zip(unknown, await self._embedded(list(unknown.values())), strict=True)
        vectors = [known[key] for key in keys]
        self._remember(known)
        return np.stack(vectors) if vectors else np.empty((0, 0), np.float32)

    def _remember(self, vectors: dict[bytes, npt.NDArray[np.float32]]) -> None:
        for key, vector in vectors.items():
            self._known[key] = vector
            self._known.move_to_end(key)
        while len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    async def _embedded(self, texts: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        made: list[npt.NDArray[np.float32]] = []
        for first in range(0, len(texts), MAX_TEXTS):
            made += await self._request(texts[first : first + MAX_TEXTS])
        return made

    async def _request(self, texts: Sequence[str]) -> list[npt.NDArray[np.float32]]:
        given: npt.NDArray[Any] = np.array([[text.encode() for text in texts]], np.object_)
        call = self._infer(self._model, {"text": given}, (EMBEDDING,), request_id=new_request_id())
        async with aclosing(call) as responses:
            async for response in responses:
                # Each for itself: a part of an array keeps all of it in memory.
                return [np.array(vector) for vector in response[EMBEDDING][0]]
        raise EngineFailed("the embedding model sent no vectors")
