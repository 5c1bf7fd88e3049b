"""Embedding models of a Triton: which there are, and texts to vectors through one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.adapters.triton import Triton, infer_request
from serving.contract.errors import EngineFailed

Vectors = npt.NDArray[np.float32]
TEXT, EMBEDDING = "text", "embedding"
TOKEN_COUNT, IS_TRUNCATED = "token_count", "is_truncated"
_NUMPY_TYPES = {"FP32": np.float32, "INT32": np.int32, "BOOL": np.bool_}


@dataclass(frozen=True, slots=True)
class Embedded:
    """Some texts as vectors [texts, width], with the tokens of each that were read."""

    vectors: Vectors
    token_counts: npt.NDArray[np.int32]
    is_truncated: npt.NDArray[np.bool_]


async def embedding_models(triton: Triton) -> tuple[str, ...]:
    """The names of those that are ready; raises Unavailable."""
    configs = [await triton.config(name) for name in await triton.ready_models()]
    return tuple(config.name for config in configs if _embeds(config))


async def embed(triton: Triton, model: str, texts: Sequence[str], request_id: str) -> Embedded:
    """One request, which Triton may batch with others. Raises ConchError.

    Cancelling it takes the request off Triton's queue, or out of the model between two passes.
    """
    given = np.array([text.encode() for text in texts], np.object_).reshape(1, -1)
    response = await triton.infer(infer_request(model, {TEXT: given}, request_id))
    arrays = dict(_arrays(response))
    try:
        made = Embedded(arrays[EMBEDDING][0], arrays[TOKEN_COUNT][0], arrays[IS_TRUNCATED][0])
    except KeyError as error:
        raise EngineFailed(f"the embedding model sent no output {error}") from None
    if len(made.vectors) != len(texts):
        raise EngineFailed("the embedding model sent another number of vectors than of texts")
    return made


def _embeds(config: Any) -> bool:
    has_text = any(tensor.name == TEXT for tensor in config.input)
    return has_text and any(tensor.name == EMBEDDING for tensor in config.output)


def _arrays(response: Any) -> list[tuple[str, npt.NDArray[Any]]]:
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    return [
        (output.name, np.frombuffer(raw, _NUMPY_TYPES[output.datatype]).reshape(output.shape))
        for output, raw in pairs
        if output.datatype in _NUMPY_TYPES
    ]
