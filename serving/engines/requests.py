"""One engine request out of the tensors of the engine contract; pure, knows no engine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest, PromptTooLong, UnsupportedParameter
from serving.engines.lora_input import Lora as Lora
from serving.engines.lora_input import read_lora

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

GUIDE_KINDS = ("json", "json_schema", "regex", "ebnf_grammar")

# Tensors of the contract this engine cannot honour, and the value that asks for nothing.
_NOT_HONOURED: dict[str, float | None] = {
    "embedding_bias": None,
    "bad_words_list": None,
    "beam_width": 1,
    "runtime_top_p_min": None,
    "runtime_top_p_decay": None,
    "runtime_top_p_reset_ids": None,
    "len_penalty": 1.0,
    "early_stopping": 0,
    "beam_search_diversity_rate": 0.0,
    "return_context_logits": 0,
    "return_generation_logits": 0,
}


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What the engine must do: token ids in, at most `max_tokens` out.

    Greedy unless `top_k` > 1 or `top_p` > 0, as in TensorRT-LLM. Stop sequences stay in the output.
    """

    input_ids: npt.NDArray[np.int64]
    max_tokens: int
    end_id: int | None = None
    stop_sequences: tuple[tuple[int, ...], ...] = ()
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    min_tokens: int = 0
    seed: int | None = None
    n: int = 1
    guide: Guide | None = None
    lora: Lora | None = None
    has_logprobs: bool = False
    is_streamed: bool = False
    is_input_excluded: bool = True
    has_timings: bool = False
    counts_input: bool = False
    counts_output: bool = False

    def without_weights(self) -> "EngineRequest":
        """The same with its adapter's id only: weights are large, and of use once."""
        if self.lora is None or self.lora.tensors is None:
            return self
        return replace(self, lora=Lora(self.lora.task_id))

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0 or (self.top_k <= 1 and self.top_p <= 0) or self.top_k == 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one sequence may ask for at most: prompt and answer together, ids of the vocabulary.

    `why_no_lora` is the reason why the engine takes no adapters, `why_no_guides` the one why it
    cannot guide answers; None: it can.
    """

    context_tokens: int
    kv_tokens: int
    vocab_size: int
    why_no_lora: str | None = None
    why_no_guides: str | None = None

    @property
    def tokens(self) -> int:
        return min(self.context_tokens, self.kv_tokens)


def parse(arrays: Arrays, capacity: Capacity) -> tuple[EngineRequest, ...]:
    """The requests of one Triton request, one a row of its batch.

    Raises UnsupportedParameter, InvalidRequest or PromptTooLong with the name of the tensor.
    """
    _refuse_what_is_not_honoured(arrays)
    rows = _required(arrays, "input_lengths").shape[0]
    requests = tuple(_parse_row({k: v[row] for k, v in arrays.items()}) for row in range(rows))
    for request in requests:
        _check_fit(request, capacity)
        _check_ids(request, capacity)
        _check_can(request.lora, "lora_task_id", capacity.why_no_lora)
        _check_can(request.guide, "guided_decoding_guide_type", capacity.why_no_guides)
    return requests


def is_stop(arrays: Arrays) -> bool:
    """True when the request only cancels the one with the same id."""
    return "stop" in arrays and bool(arrays["stop"].flat[0])


def _refuse_what_is_not_honoured(arrays: Arrays) -> None:
    for name, neutral in _NOT_HONOURED.items():
        array = arrays.get(name)
        if array is None or array.size == 0:
            continue
        if neutral is None or np.any(array != neutral):
            raise UnsupportedParameter(f"the OpenVINO engine cannot honour '{name}'", param=name)


def _parse_row(row: Arrays) -> EngineRequest:
    return EngineRequest(
        input_ids=_input_ids(row),
        max_tokens=_integer(row, "request_output_len", low=1),
        end_id=_end_id(row),
        stop_sequences=_word_list(row, "stop_words_list"),
        temperature=_number(row, "temperature", 1.0, low=0.0, high=100.0),
        top_k=_integer(row, "runtime_top_k", 0, low=0),
        top_p=_number(row, "runtime_top_p", 0.0, low=0.0, high=1.0),
        repetition_penalty=_number(row, "repetition_penalty", 1.0, low=0.01, high=100.0),
        presence_penalty=_number(row, "presence_penalty", 0.0, low=-2.0, high=2.0),
        frequency_penalty=_number(row, "frequency_penalty", 0.0, low=-2.0, high=2.0),
        min_tokens=_integer(row, "min_tokens", 0, low=0),
        seed=_integer(row, "seed", 0) if "seed" in row else None,
        n=_integer(row, "num_return_sequences", 1, low=1, high=64),
        guide=_guide(row),
        lora=read_lora(row),
        has_logprobs=_flag(row, "return_log_probs"),
        is_streamed=_flag(row, "streaming"),
        is_input_excluded=_flag(row, "exclude_input_in_output", default=True),
        has_timings=_flag(row, "return_perf_metrics"),
        counts_input=_flag(row, "return_num_input_tokens"),
        counts_output=_flag(row, "return_num_output_tokens"),
    )


def _check_fit(request: EngineRequest, capacity: Capacity) -> None:
    prompt, answer = len(request.input_ids), request.max_tokens
    if prompt + answer > capacity.tokens:
        raise PromptTooLong(
            f"the prompt has {prompt} tokens and {answer} more were asked for, but the model holds "
            f"{capacity.tokens} in all; shorten the prompt or lower request_output_len",
            param="input_ids",
        )


def _check_ids(request: EngineRequest, capacity: Capacity) -> None:
    """The library does not look: an id beyond the vocabulary reads memory that is not its own."""
    lists = {"input_ids": request.input_ids.tolist()}
    lists["end_id"] = [] if request.end_id is None else [request.end_id]
    lists["stop_words_list"] = [i for word in request.stop_sequences for i in word]
    for name, ids in lists.items():
        wrong = next((i for i in ids if not 0 <= i < capacity.vocab_size), None)
        if wrong is not None:
            raise InvalidRequest(
                f"'{name}' has the id {wrong}; ids are 0 to {capacity.vocab_size - 1}", param=name
            )


def _check_can(asked: object | None, name: str, why_not: str | None) -> None:
    if asked is not None and why_not is not None:
        raise UnsupportedParameter(f"the engine cannot honour '{name}': {why_not}", param=name)


def _input_ids(row: Arrays) -> npt.NDArray[np.int64]:
    length = _integer(row, "input_lengths", low=1)
    ids = _required(row, "input_ids").reshape(-1)
    if length > ids.size:
        raise InvalidRequest(
            f"input_lengths is {length}, but input_ids has {ids.size}", param="input_lengths"
        )
    return ids[:length].astype(np.int64)


def _end_id(row: Arrays) -> int | None:
    value = _integer(row, "end_id", -1)
    return None if value < 0 else value


def _word_list(row: Arrays, name: str) -> tuple[tuple[int, ...], ...]:
    """Sequences out of TensorRT-LLM's [2, n] form: ids, then end offsets padded with -1."""
    if name not in row or row[name].size == 0:
        return ()
    if row[name].ndim != 2 or row[name].shape[0] != 2:
        raise InvalidRequest(
            f"'{name}' must have dims [2, n], it has {row[name].shape}", param=name
        )
    ids, offsets = row[name].tolist()
    ends = offsets[: offsets.index(-1)] if -1 in offsets else offsets
    starts = [0, *ends][: len(ends)]
    is_ascending = all(start < end for start, end in zip(starts, ends, strict=True))
    if not is_ascending or set(offsets[len(ends) :]) - {-1} or max(ends, default=0) > len(ids):
        raise InvalidRequest(
            f"the end offsets of '{name}' are {offsets}: they must rise, stay within the "
            f"{len(ids)} ids and be padded with -1 at the end only",
            param=name,
        )
    return tuple(tuple(ids[start:end]) for start, end in zip(starts, ends, strict=True))


def _guide(row: Arrays) -> Guide | None:
    kind = _string(row, "guided_decoding_guide_type")
    if kind is None:
        return None
    if kind not in GUIDE_KINDS:
        raise InvalidRequest(
            f"'{kind}' is no guide type; one of {', '.join(GUIDE_KINDS)}",
            param="guided_decoding_guide_type",
        )
    return Guide(kind, _string(row, "guided_decoding_guide") or "")


def _string(row: Arrays, name: str) -> str | None:
    if name not in row or row[name].size == 0:
        return None
    value = row[name].flat[0]
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"'{name}' must be UTF-8", param=name) from error


def _required(arrays: Arrays, name: str) -> Array:
    if name not in arrays:
        raise InvalidRequest(f"'{name}' is not present in the request", param=name)
    return arrays[name]


def _flag(row: Arrays, name: str, *, default: bool = False) -> bool:
    return bool(row[name].flat[0]) if name in row else default


def _integer(
    row: Arrays,
    name: str,
    default: int | None = None,
    *,
    low: int | None = None,
    high: int | None = None,
) -> int:
    if name not in row and default is not None:
        return default
    return int(_in_range(name, int(_required(row, name).flat[0]), low, high))


def _number(row: Arrays, name: str, default: float, *, low: float, high: float) -> float:
    if name not in row:
        return default
    return _in_range(name, float(row[name].flat[0]), low, high)


def _in_range(name: str, value: float, low: float | None, high: float | None) -> float:
    if not np.isfinite(value) or (low is not None and value < low):
        raise InvalidRequest(f"'{name}' is {value}, it must be at least {low}", param=name)
    if high is not None and value > high:
        raise InvalidRequest(f"'{name}' is {value}, it must be at most {high}", param=name)
    return value
