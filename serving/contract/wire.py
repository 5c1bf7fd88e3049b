"""Calls and chunks as the tensors of the BLS contract, both ways; NumPy and JSON only.

Strings travel as object arrays of bytes, as Triton's clients and its Python backend have them.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from serving.contract.calls import (
    Call,
    Chunk,
    EngineTimes,
    FinishReason,
    Guide,
    Sampling,
    SequenceState,
    Timeouts,
    Timings,
    TokenLogprob,
    Usage,
)
from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.contract.grant import CLASSES
from serving.contract.guardrails import verdicts_of
from serving.contract.response_format import guide_of
from serving.contract.tools import (
    Choice,
    choice_object,
    choice_of,
    delta_objects,
    deltas_of,
    tools_of,
)

T = TypeVar("T")
Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]

_NUMPY_TYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT64": np.uint64,
    "FP32": np.float32,
    "STRING": np.object_,
}
# BLS input -> (dtype, field of Sampling)
_SAMPLING_SCALARS: dict[str, tuple[str, str]] = {
    "max_tokens": ("INT32", "max_tokens"),
    "min_tokens": ("INT32", "min_tokens"),
    "temperature": ("FP32", "temperature"),
    "top_k": ("INT32", "top_k"),
    "top_p": ("FP32", "top_p"),
    "repetition_penalty": ("FP32", "repetition_penalty"),
    "presence_penalty": ("FP32", "presence_penalty"),
    "frequency_penalty": ("FP32", "frequency_penalty"),
    "seed": ("UINT64", "seed"),
    "end_id": ("INT32", "end_id"),
}
# BLS input -> field of Timeouts
_TIMEOUTS: dict[str, str] = {
    "timeout_ms": "total_ms",
    "ttft_timeout_ms": "ttft_ms",
    "idle_timeout_ms": "idle_ms",
}
MAX_SESSION = 256
# Inputs of NVIDIA's contract that no engine here honours, and the value that asks for nothing.
_NOT_HONOURED: dict[str, Any] = {
    "embedding_bias_words": None,
    "embedding_bias_weights": None,
    "lora_task_id": None,
    "lora_weights": None,
    "lora_config": None,
    "length_penalty": 1.0,
    "beam_width": 1,
    "return_context_logits": False,
    "return_generation_logits": False,
}


def single(dtype: str, value: Any) -> Array:
    """`value` as a [1, 1] tensor of Triton's `dtype`."""
    return np.array([[_encoded(value)]], dtype=_NUMPY_TYPES[dtype])


def strings(values: Sequence[str]) -> Array:
    """`values` as a [1, n] STRING tensor."""
    return np.array([[v.encode() for v in values]], dtype=np.object_)


def _encoded(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def encode_call(call: Call) -> dict[str, Array]:
    """The inputs of one BLS request, each [1, …]; only those that say something."""
    arrays: dict[str, Array] = {}
    if call.text is not None:
        arrays["text_input"] = single("STRING", call.text)
    if call.input_ids is not None:
        arrays["input_ids"] = np.array([call.input_ids], dtype=np.int32)
    if call.messages is not None:
        arrays["messages"] = single("STRING", orjson.dumps(call.messages))
    for name, (dtype, field) in _SAMPLING_SCALARS.items():
        value = getattr(call.sampling, field)
        if value is not None:
            arrays[name] = single(dtype, value)
    return arrays | _encode_options(call)


def _encode_options(call: Call) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    if call.sampling.stop:
        arrays["stop_words"] = strings(call.sampling.stop)
    if call.sampling.bad_words:
        arrays["bad_words"] = strings(call.sampling.bad_words)
    if call.guide is not None:
        arrays["guided_decoding_guide_type"] = single("STRING", call.guide.kind)
        arrays["guided_decoding_guide"] = single("STRING", call.guide.text)
    if call.n != 1:
        arrays["num_return_sequences"] = single("INT32", call.n)
    if call.tools is not None:
        arrays["tools"] = single("STRING", orjson.dumps(call.tools))
    if call.tool_choice is not None:
        arrays["tool_choice"] = single("STRING", orjson.dumps(choice_object(call.tool_choice)))
    for name in ("adapter", "grant", "priority", "session", "guardrails"):
        if (text := getattr(call, name)) is not None:
            arrays[name] = single("STRING", text)
    for name, milliseconds in _milliseconds(call).items():
        if milliseconds is not None:
            arrays[name] = single("INT32", milliseconds)
    flags = {
        "stream": call.is_streamed,
        "return_log_probs": call.has_logprobs,
        "return_perf_metrics": call.has_engine_times,
        "return_num_input_tokens": call.has_token_counts,
        "return_num_output_tokens": call.has_token_counts,
    }
    arrays |= {name: single("BOOL", True) for name, is_set in flags.items() if is_set}
    if call.is_echoed:
        arrays["exclude_input_in_output"] = single("BOOL", False)
    return arrays


def _milliseconds(call: Call) -> dict[str, int | None]:
    timeouts = {name: getattr(call.timeouts, field) for name, field in _TIMEOUTS.items()}
    return {"deadline_ms": call.deadline_ms, **timeouts}


def decode_call(arrays: Arrays) -> Call:
    """The call that `arrays` (inputs of one request, batch of 1) ask for.

    Raises InvalidRequest or UnsupportedParameter with the name of the tensor.
    """
    _refuse_what_is_not_honoured(arrays)
    n = _scalar(arrays, "num_return_sequences", int)
    return Call(
        text=_scalar(arrays, "text_input", _text),
        input_ids=_sequence(arrays, "input_ids", int),
        messages=_messages(arrays),
        sampling=_sampling(arrays),
        guide=_guide(arrays),
        tools=tools_of(_json(arrays, "tools")),
        tool_choice=_choice(arrays),
        adapter=_scalar(arrays, "adapter", _text),
        n=1 if n is None else n,
        deadline_ms=_time(arrays, "deadline_ms"),
        timeouts=Timeouts(**{field: _time(arrays, name) for name, field in _TIMEOUTS.items()}),
        priority=_priority(arrays),
        session=_session(arrays),
        is_streamed=_flag(arrays, "stream"),
        is_echoed=_scalar(arrays, "exclude_input_in_output", bool) is False,
        has_logprobs=_flag(arrays, "return_log_probs"),
        has_engine_times=_flag(arrays, "return_perf_metrics"),
        has_token_counts=_flag(arrays, "return_num_input_tokens")
        or _flag(arrays, "return_num_output_tokens"),
        grant=_scalar(arrays, "grant", _text),
        guardrails=_scalar(arrays, "guardrails", _text),
    )


def _time(arrays: Arrays, name: str) -> int | None:
    milliseconds = _scalar(arrays, name, int)
    if milliseconds is not None and milliseconds < 1:
        raise InvalidRequest(f"'{name}' is {milliseconds}, it must be at least 1", param=name)
    return milliseconds


def _priority(arrays: Arrays) -> str | None:
    name = _scalar(arrays, "priority", _text)
    if name is not None and name not in CLASSES:
        raise InvalidRequest(
            f"'priority' is '{name}', it must be one of {', '.join(CLASSES)}", param="priority"
        )
    return name


def _session(arrays: Arrays) -> str | None:
    session = _scalar(arrays, "session", _text)
    if session is not None and len(session) > MAX_SESSION:
        raise InvalidRequest(
            f"'session' has {len(session)} characters, it can have {MAX_SESSION}", param="session"
        )
    return session or None


def decode_control(arrays: Arrays) -> tuple[str, str | None]:
    """An operation on the model itself, and the grant that comes with it."""
    return _scalar(arrays, "control", _text) or "", _scalar(arrays, "grant", _text)


def _refuse_what_is_not_honoured(arrays: Arrays) -> None:
    for name, neutral in _NOT_HONOURED.items():
        if name in arrays and (neutral is None or arrays[name].flat[0] != neutral):
            raise UnsupportedParameter(f"the deployed engine cannot honour '{name}'", param=name)


def _sampling(arrays: Arrays) -> Sampling:
    values: dict[str, Any] = {
        field: _scalar(arrays, name, float if dtype == "FP32" else int)
        for name, (dtype, field) in _SAMPLING_SCALARS.items()
    }
    return Sampling(
        **values,
        stop=_words(arrays, "stop_words"),
        bad_words=_words(arrays, "bad_words"),
    )


def _guide(arrays: Arrays) -> Guide | None:
    kind = _scalar(arrays, "guided_decoding_guide_type", _text)
    text = _scalar(arrays, "guided_decoding_guide", _text)
    if kind is not None:
        return Guide(kind, text or "")
    if text:
        raise InvalidRequest(
            "guided_decoding_guide needs guided_decoding_guide_type",
            param="guided_decoding_guide_type",
        )
    response_format = _json(arrays, "response_format")
    return None if response_format is None else guide_of(response_format)


def _choice(arrays: Arrays) -> Choice | None:
    """A word may come without the quotes of JSON."""
    text = _scalar(arrays, "tool_choice", _text)
    return choice_of(text if text is None or text.isalpha() else _json(arrays, "tool_choice"))


def _messages(arrays: Arrays) -> tuple[dict[str, Any], ...] | None:
    messages = _json(arrays, "messages")
    if messages is None:
        return None
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise InvalidRequest("'messages' must be a JSON list of objects", param="messages")
    return tuple(messages)


def _json(arrays: Arrays, name: str) -> Any:
    text = _scalar(arrays, name, _text)
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"'{name}' is not JSON: {error}", param=name) from error


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _scalar(arrays: Arrays, name: str, convert: Callable[[Any], T]) -> T | None:
    array = arrays.get(name)
    if array is None or array.size == 0:
        return None
    if array.size != 1:
        raise InvalidRequest(f"'{name}' must have one element, it has {array.size}", param=name)
    return _converted(name, array.flat[0], convert)


def _converted(name: str, value: Any, convert: Callable[[Any], T]) -> T:
    try:
        return convert(value)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"'{name}' must be UTF-8", param=name) from error


def _flag(arrays: Arrays, name: str) -> bool:
    return _scalar(arrays, name, bool) or False


def _sequence(arrays: Arrays, name: str, convert: Callable[[Any], T]) -> tuple[T, ...] | None:
    array = arrays.get(name)
    return None if array is None else tuple(_converted(name, v, convert) for v in array.flat)


def _words(arrays: Arrays, name: str) -> tuple[str, ...]:
    return tuple(word for word in _sequence(arrays, name, _text) or () if word)


def encode_chunk(chunk: Chunk, call: Call) -> dict[str, Array]:
    """The outputs of one BLS response to `call`."""
    arrays: dict[str, Array] = {"text_output": single("STRING", chunk.text)}
    if call.n > 1:
        arrays["sequence_index"] = single("INT32", chunk.index)
    if chunk.logprobs:
        values = [token.logprob for token in chunk.logprobs]
        arrays["output_log_probs"] = np.array([[values]], dtype=np.float32)
        arrays["logprobs"] = single("STRING", orjson.dumps([_logprob(t) for t in chunk.logprobs]))
    if chunk.finish_reason is not None:
        arrays["finish_reason"] = single("STRING", chunk.finish_reason.value)
    if chunk.state is not None:
        arrays["state"] = single("STRING", chunk.state.value)
    if chunk.reasoning:
        arrays["reasoning"] = single("STRING", chunk.reasoning)
    if chunk.tool_calls:
        arrays["tool_calls"] = single("STRING", orjson.dumps(delta_objects(chunk.tool_calls)))
    if chunk.verdicts:
        arrays["verdicts"] = single("STRING", orjson.dumps([asdict(v) for v in chunk.verdicts]))
    for name, value in (("usage", chunk.usage), ("timings", chunk.timings)):
        if value is not None:
            arrays[name] = single("STRING", orjson.dumps(asdict(value)))
    return arrays | _upstream_statistics(chunk, call)


def _upstream_statistics(chunk: Chunk, call: Call) -> dict[str, Array]:
    """What clients of `tensorrt_llm_bls` may ask for; with the last chunk of a sequence."""
    arrays: dict[str, Array] = {}
    if call.has_token_counts and chunk.usage is not None and chunk.finish_reason is not None:
        arrays["num_input_tokens"] = single("INT32", chunk.usage.prompt_tokens)
        arrays["num_output_tokens"] = single("INT32", chunk.usage.completion_tokens)
    if chunk.cum_logprob is not None:
        arrays["cum_log_probs"] = single("FP32", chunk.cum_logprob)
    if call.has_engine_times and chunk.engine_times is not None:
        for name, value in asdict(chunk.engine_times).items():
            arrays[_time_tensor(name)] = single("INT64", value)
    return arrays


def _logprob(token: TokenLogprob) -> list[Any]:
    return [token.token_id, base64.b64encode(token.data).decode(), token.logprob]


def decode_chunk(arrays: Arrays) -> Chunk:
    """What `encode_chunk` wrote."""
    reason = _scalar(arrays, "finish_reason", _text)
    state = _scalar(arrays, "state", _text)
    usage, timings = _json(arrays, "usage"), _json(arrays, "timings")
    return Chunk(
        index=_scalar(arrays, "sequence_index", int) or 0,
        text=_scalar(arrays, "text_output", _text) or "",
        logprobs=tuple(
            TokenLogprob(token_id, base64.b64decode(data), logprob)
            for token_id, data, logprob in _json(arrays, "logprobs") or ()
        ),
        finish_reason=None if reason is None else FinishReason(reason),
        usage=None if usage is None else Usage(**usage),
        timings=None if timings is None else Timings(**timings),
        engine_times=_engine_times(arrays),
        cum_logprob=_scalar(arrays, "cum_log_probs", float),
        state=None if state is None else SequenceState(state),
        reasoning=_scalar(arrays, "reasoning", _text) or "",
        tool_calls=deltas_of(_json(arrays, "tool_calls")),
        verdicts=verdicts_of(_json(arrays, "verdicts")),
    )


def _engine_times(arrays: Arrays) -> EngineTimes | None:
    names = [field.name for field in fields(EngineTimes)]
    times: dict[str, Any] = {name: _scalar(arrays, _time_tensor(name), int) for name in names}
    return None if None in times.values() else EngineTimes(**times)


def _time_tensor(field: str) -> str:
    return field.replace("_ns", "_time_ns")
