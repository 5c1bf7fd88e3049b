"""What a ModelInferRequest asks of a model, within the limits that bodies of the REST API have."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api.body import is_deeper, may_be_deeper
from gateway.ask import Ask
from gateway.kserve.inputs import NOT_FOR_CLIENTS, arrays_of
from gateway.kserve.models import EXPOSED
from gateway.settings import GatewaySettings
from serving.contract.calls import Call
from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.contract.tensors import BLS_OUTPUTS
from serving.contract.wire import Array, decode_call

EMPTY_FINAL = "triton_enable_empty_final_response"
_PROMPTS = ("text_input", "input_ids", "messages")
_JSON = ("messages", "response_format", "tools", "tool_choice")
_READ = (*_PROMPTS, "tools")
_OUTPUTS = frozenset(tensor.name for tensor in BLS_OUTPUTS) - NOT_FOR_CLIENTS
_MAX_END_USER = 256


def ask_of(request: Any, settings: GatewaySettings, *, is_unary: bool) -> Ask:
    """Raises ConchError with the name of what is wrong. A unary call has one response only."""
    if request.model_name in EXPOSED:
        unary = f"'{request.model_name}' answers ModelInfer; a stream is for models that generate"
        raise InvalidRequest(unary, param="model_name")
    check_parameters(request)
    check_outputs(request, _OUTPUTS)
    arrays = arrays_of(request)
    if sum(name in arrays for name in _PROMPTS) != 1:
        raise InvalidRequest(f"exactly one of {', '.join(_PROMPTS)} must be given")
    call = decode_call(arrays)
    _check_limits(call, settings)
    for name in _JSON:
        _check_depth(name, _bytes(arrays, name), settings.max_json_depth)
    if is_unary:
        _check_one_response(call)
    return Ask(
        request.model_name,
        (call,),
        prompt_bytes=len(b"".join(_bytes(arrays, name) for name in _READ)),
        user=text_parameter(request, "user"),
        session=call.session or text_parameter(request, "session"),
        is_streamed=call.is_streamed,
        adapter=call.adapter,
    )


def _check_one_response(call: Call) -> None:
    if call.is_streamed:
        pieces = "'stream' needs ModelStreamInfer; ModelInfer has one response"
        raise InvalidRequest(pieces, param="stream")
    if call.n != 1:
        several = "several answers need ModelStreamInfer; ModelInfer has one response"
        raise InvalidRequest(several, param="num_return_sequences")


def check_parameters(request: Any) -> None:
    """Every answer ends with a response that says so, so there is nothing to enable."""
    parameters = request.parameters
    if EMPTY_FINAL in parameters and _kind(parameters[EMPTY_FINAL]) != "bool_param":
        raise InvalidRequest(f"parameter '{EMPTY_FINAL}' must be a bool_param", param=EMPTY_FINAL)


def _kind(parameter: Any) -> str | None:
    kind: str | None = parameter.WhichOneof("parameter_choice")
    return kind


def check_outputs(request: Any, known: frozenset[str]) -> None:
    """Raises InvalidRequest for an output that is not `known`, or cannot be had in that form."""
    for output in request.outputs:
        name = output.name[:64]
        if output.name not in known:
            raise InvalidRequest(f"the model has no output '{name}'", param=name)
        if "classification" in output.parameters:
            raise UnsupportedParameter(f"'{name}' cannot be classified", param=name)
        if "shared_memory_region" in output.parameters:
            raise UnsupportedParameter(f"'{name}' cannot go to shared memory here", param=name)


def _check_depth(name: str, data: bytes, limit: int) -> None:
    if not may_be_deeper(data, limit):
        return
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidRequest(f"'{name}' is not JSON", param=name) from None
    if is_deeper(value, limit):
        raise InvalidRequest(f"'{name}' is nested more than {limit} levels deep", param=name)


def _bytes(arrays: Mapping[str, Array], name: str) -> bytes:
    """What was sent as `name`: the string, or the ids at four bytes each."""
    array = arrays.get(name)
    if array is None:
        return b""
    return b"".join(array.flat) if array.dtype == object else array.tobytes()


def _check_limits(call: Call, settings: GatewaySettings) -> None:
    _check_range("num_return_sequences", call.n, settings.max_choices)
    _check_messages(call, settings)
    if call.sampling.max_tokens is not None:
        _check_range("max_tokens", call.sampling.max_tokens)


def _check_messages(call: Call, settings: GatewaySettings) -> None:
    many = len(call.messages or ())
    if many > settings.max_messages:
        raise InvalidRequest(
            f"'messages' has {many} entries, it can have at most {settings.max_messages}",
            param="messages",
        )


def _check_range(name: str, value: int, highest: int | None = None) -> None:
    if value < 1:
        raise InvalidRequest(f"'{name}' is {value}, it must be at least 1", param=name)
    if highest is not None and value > highest:
        raise InvalidRequest(f"'{name}' is {value}, it can be at most {highest}", param=name)


def text_parameter(request: Any, name: str) -> str | None:
    """A parameter of the request that is text; None where it is not given."""
    if name not in request.parameters:
        return None
    parameter = request.parameters[name]
    if _kind(parameter) != "string_param" or len(parameter.string_param) > _MAX_END_USER:
        wrong = f"parameter '{name}' must be a string_param of at most {_MAX_END_USER} characters"
        raise InvalidRequest(wrong, param=name)
    return str(parameter.string_param)
