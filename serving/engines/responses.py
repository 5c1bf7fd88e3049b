"""An engine update as the output tensors of the engine contract; pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

from serving.engines.messages import Update
from serving.engines.requests import EngineRequest

Array = npt.NDArray[Any]


def encode(
    update: Update, request: EngineRequest, *, arrival_ns: int, is_batched: bool
) -> dict[str, Array]:
    """Outputs of one response, [1, beam = 1, …]; `output_ids` are the new tokens only.

    The input goes before the first tokens when the request asked for it.
    """
    tokens = update.tokens
    if not request.is_input_excluded and update.is_first:
        tokens = [*request.input_ids.tolist(), *tokens]
    arrays: dict[str, Array] = {
        "output_ids": np.array([[tokens]], dtype=np.int32),
        "sequence_length": np.array([[len(tokens)]], dtype=np.int32),
    }
    if request.has_logprobs:
        arrays |= _logprobs(update)
    if is_batched:
        arrays["batch_index"] = _int32(update.key[1])
    if request.n > 1:
        arrays["sequence_index"] = _int32(update.key[2])
    if request.counts_input:
        arrays["num_input_tokens"] = _int32(len(request.input_ids))
    if request.counts_output:
        arrays["num_output_tokens"] = _int32(len(update.tokens))
    if request.has_timings and update.is_last:
        arrays |= _timings(update, arrival_ns)
    return arrays


def _logprobs(update: Update) -> dict[str, Array]:
    return {
        "output_log_probs": np.array([[update.logprobs]], dtype=np.float32),
        "cum_log_probs": np.array([[update.cum_logprob]], dtype=np.float32),
    }


def _timings(update: Update, arrival_ns: int) -> dict[str, Array]:
    times = {
        "arrival_time_ns": arrival_ns,
        "first_scheduled_time_ns": update.first_scheduled_ns,
        "first_token_time_ns": update.first_token_ns,
        "last_token_time_ns": update.last_token_ns,
    }
    return {name: np.array([[value]], dtype=np.int64) for name, value in times.items()}


def _int32(value: int) -> Array:
    return np.array([[value]], dtype=np.int32)
