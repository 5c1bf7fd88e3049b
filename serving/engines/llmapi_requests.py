"""One request of a `trtllm-llmapi` engine out of the contract's tensors; pure, knows no engine.

What TensorRT-LLM honours and the CPU engine does not is read here: bad words, a logit bias and the
decay of top-p. What needs beams, and logits as output, is refused by name.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.engines.requests import Arrays, Capacity, EngineRequest, parse

# The value that asks for nothing.
_NOT_HONOURED: dict[str, float] = {
    "beam_width": 1,
    "len_penalty": 1.0,
    "early_stopping": 0,
    "beam_search_diversity_rate": 0.0,
    "return_context_logits": 0,
    "return_generation_logits": 0,
}
_READ_HERE = (
    "bad_words_list",
    "embedding_bias",
    "runtime_top_p_min",
    "runtime_top_p_decay",
    "runtime_top_p_reset_ids",
)


@dataclass(frozen=True, slots=True)
class LlmApiRequest(EngineRequest):
    """With what only TensorRT-LLM honours. None means the engine's default."""

    bad_ids: tuple[int, ...] = ()
    logit_bias: npt.NDArray[np.float32] | None = None
    top_p_min: float | None = None
    top_p_decay: float | None = None
    top_p_reset_id: int | None = None


def parse_rows(arrays: Arrays, capacity: Capacity) -> tuple[LlmApiRequest, ...]:
    """The requests of one Triton request, one a row of its batch.

    Raises UnsupportedParameter, InvalidRequest or PromptTooLong with the name of the tensor.
    """
    given = {name: array for name, array in arrays.items() if array.size}
    _refuse_what_is_not_honoured(given)
    skipped = (*_READ_HERE, *_NOT_HONOURED)
    plain = parse({k: v for k, v in given.items() if k not in skipped}, capacity)
    ours = {k: v for k, v in given.items() if k in _READ_HERE}
    return tuple(
        LlmApiRequest(**_values(row), **_own({k: v[i] for k, v in ours.items()}, capacity))
        for i, row in enumerate(plain)
    )


def _refuse_what_is_not_honoured(arrays: Arrays) -> None:
    for name, neutral in _NOT_HONOURED.items():
        if name in arrays and np.any(arrays[name] != neutral):
            raise UnsupportedParameter(
                f"the TensorRT-LLM LLM-API engine cannot honour '{name}'", param=name
            )


def _values(row: EngineRequest) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _own(row: Arrays, capacity: Capacity) -> dict[str, Any]:
    return {
        "bad_ids": _bad_ids(row, capacity),
        "logit_bias": _logit_bias(row, capacity),
        "top_p_min": _share(row, "runtime_top_p_min"),
        "top_p_decay": _share(row, "runtime_top_p_decay"),
        "top_p_reset_id": _reset_id(row, capacity),
    }


def _bad_ids(row: Arrays, capacity: Capacity) -> tuple[int, ...]:
    """Bad words: the LLM API takes ids of single tokens, or text that it tokenises itself."""
    if (words := row.get("bad_words_list")) is None:
        return ()
    if words.ndim != 2 or words.shape[0] != 2:
        raise _wrong("bad_words_list", f"must have dims [2, n], it has {words.shape}")
    ids, ends = words.tolist()
    count = ends.index(-1) if -1 in ends else len(ends)
    if ends[:count] != list(range(1, count + 1)):
        raise UnsupportedParameter(
            "'bad_words_list' has a word of several tokens; the TensorRT-LLM LLM API takes words "
            "of one token",
            param="bad_words_list",
        )
    return tuple(_id("bad_words_list", token, capacity) for token in ids[:count])


def _logit_bias(row: Arrays, capacity: Capacity) -> npt.NDArray[np.float32] | None:
    if (bias := row.get("embedding_bias")) is None:
        return None
    if bias.size != capacity.vocab_size or np.isnan(bias).any():
        raise _wrong(
            "embedding_bias",
            f"must have one number for each of {capacity.vocab_size} ids, it has {bias.size}",
        )
    return bias.reshape(-1).astype(np.float32)


def _share(row: Arrays, name: str) -> float | None:
    if name not in row:
        return None
    value = float(row[name].flat[0])
    if not 0 < value <= 1:
        raise _wrong(name, f"is {value}, it must be above 0 and at most 1")
    return value


def _reset_id(row: Arrays, capacity: Capacity) -> int | None:
    name = "runtime_top_p_reset_ids"
    return _id(name, int(row[name].flat[0]), capacity) if name in row else None


def _id(name: str, token: int, capacity: Capacity) -> int:
    if not 0 <= token < capacity.vocab_size:
        raise _wrong(name, f"has the id {token}; ids are 0 to {capacity.vocab_size - 1}")
    return token


def _wrong(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"'{name}' {what}", param=name)
