"""The tensors of the Triton model `embedding`: texts out of a request, vectors into its answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract.errors import InvalidRequest
from serving.engines.embedding_tokens import Encoded

Array = npt.NDArray[Any]
MOST_TEXTS = 256


def texts_of(arrays: Mapping[str, Array]) -> tuple[tuple[int, ...], list[str]]:
    """The shape of `text`, and its texts in order. Raises InvalidRequest."""
    given = arrays["text"]
    if not 1 <= given.size <= MOST_TEXTS:
        raise InvalidRequest(
            f"'text' has {given.size} texts, it must have 1 to {MOST_TEXTS}; send more as several "
            "requests at a time, they share a batch",
            param="text",
        )
    return given.shape, [_text(data) for data in given.flat]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"'text' is not UTF-8 (at byte {error.start})", param="text") from None


def encode(shape: tuple[int, ...], texts: Sequence[Encoded], vectors: Array) -> dict[str, Array]:
    """The outputs for a request whose `text` had this shape."""
    counts = np.array([len(text.ids) for text in texts], np.int32)
    truncated = np.array([text.is_truncated for text in texts], np.bool_)
    return {
        "embedding": vectors.reshape(*shape, vectors.shape[-1]),
        "token_count": counts.reshape(shape),
        "is_truncated": truncated.reshape(shape),
    }
