"""A prompt and its sampling as the engine's tensors, and tokens out of its answers; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.bls.language import Prompt
from serving.contract.calls import Call, EngineTimes, Sampling
from serving.contract.errors import ConchError
from serving.contract.wire import single

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

OUTPUTS = ("output_ids", "sequence_length")
LOGPROB_OUTPUTS = ("output_log_probs",)
TIMING_OUTPUTS = (
    "arrival_time_ns",
    "first_scheduled_time_ns",
    "first_token_time_ns",
    "last_token_time_ns",
)
# engine input -> (dtype, field of Sampling)
_SAMPLING: dict[str, tuple[str, str]] = {
    "temperature": ("FP32", "temperature"),
    "runtime_top_k": ("INT32", "top_k"),
    "runtime_top_p": ("FP32", "top_p"),
    "repetition_penalty": ("FP32", "repetition_penalty"),
    "presence_penalty": ("FP32", "presence_penalty"),
    "frequency_penalty": ("FP32", "frequency_penalty"),
    "min_tokens": ("INT32", "min_tokens"),
}
# engine input -> BLS input
_CALLERS_NAMES = {
    "request_output_len": "max_tokens",
    "runtime_top_k": "top_k",
    "runtime_top_p": "top_p",
    "bad_words_list": "bad_words",
    "stop_words_list": "stop_words",
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """New tokens of one sequence; `times` comes with the last of them."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...] = ()
    times: EngineTimes | None = None


def encode(prompt: Prompt, call: Call, sampling: Sampling, *, sequence: int) -> dict[str, Array]:
    """Inputs of the engine request for one sequence of `call`."""
    end_ids = prompt.end_ids
    arrays: dict[str, Array] = {
        "input_ids": np.array([prompt.ids], dtype=np.int32),
        "input_lengths": single("INT32", len(prompt.ids)),
        "request_output_len": single("INT32", prompt.max_tokens),
        "end_id": single("INT32", end_ids[0]),
        "pad_id": single("INT32", end_ids[0]),
        "streaming": single("BOOL", call.is_streamed),
        "exclude_input_in_output": single("BOOL", True),
        "return_perf_metrics": single("BOOL", True),
    }
    for name, (dtype, field) in _SAMPLING.items():
        value = getattr(sampling, field)
        if value is not None:
            arrays[name] = single(dtype, value)
    return arrays | _options(prompt, call, sampling, sequence)


def _options(prompt: Prompt, call: Call, sampling: Sampling, sequence: int) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    if sampling.seed is not None:
        arrays["seed"] = single("UINT64", (sampling.seed + sequence) % 2**64)
    if len(prompt.end_ids) > 1:
        arrays["stop_words_list"] = word_list([(end_id,) for end_id in prompt.end_ids[1:]])
    if prompt.bad_words:
        arrays["bad_words_list"] = word_list(prompt.bad_words)
    if call.has_logprobs:
        arrays["return_log_probs"] = single("BOOL", True)
    if call.guide is not None:
        arrays["guided_decoding_guide_type"] = single("STRING", call.guide.kind)
        arrays["guided_decoding_guide"] = single("STRING", call.guide.text)
    return arrays


def stop_request() -> dict[str, Array]:
    """Inputs that cancel the engine request of the same id."""
    return {
        "input_ids": single("INT32", 0),
        "input_lengths": single("INT32", 1),
        "request_output_len": single("INT32", 1),
        "stop": single("BOOL", True),
    }


def one_token(end_id: int) -> dict[str, Array]:
    """Inputs of the shortest engine request that there is."""
    return {
        "input_ids": single("INT32", end_id),
        "input_lengths": single("INT32", 1),
        "request_output_len": single("INT32", 1),
        "end_id": single("INT32", end_id),
        "pad_id": single("INT32", end_id),
        "exclude_input_in_output": single("BOOL", True),
    }


def in_callers_words(error: ConchError) -> ConchError:
    """An engine's refusal, with the name the caller knows for the tensor."""
    name = error.param
    if name not in _CALLERS_NAMES:
        return error
    known = _CALLERS_NAMES[name]
    return type(error)(error.message.replace(name, known), param=known)


def word_list(words: Iterable[Sequence[int]]) -> Array:
    """TensorRT-LLM's form of token sequences, [1, 2, n]: ids over end offsets, padded with -1."""
    ids: list[int] = []
    ends: list[int] = []
    for word in words:
        ids.extend(word)
        ends.append(len(ids))
    return np.array([[ids, ends + [-1] * (len(ids) - len(ends))]], dtype=np.int32)


def requested_outputs(call: Call) -> tuple[str, ...]:
    return OUTPUTS + (LOGPROB_OUTPUTS if call.has_logprobs else ()) + TIMING_OUTPUTS


def decode(arrays: Arrays) -> Tokens:
    """The tokens of one engine response."""
    logprobs = arrays.get("output_log_probs")
    return Tokens(
        ids=tuple(arrays["output_ids"].reshape(-1).tolist()),
        logprobs=() if logprobs is None else tuple(logprobs.reshape(-1).tolist()),
        times=_times(arrays),
    )


def _times(arrays: Arrays) -> EngineTimes | None:
    if TIMING_OUTPUTS[0] not in arrays:
        return None
    return EngineTimes(*(int(arrays[name].flat[0]) for name in TIMING_OUTPUTS))
