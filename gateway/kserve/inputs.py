"""The tensors of a ModelInferRequest as arrays. What is wrong with one is said by its name."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from tritonclient.utils import triton_to_np_dtype

from serving.contract.errors import Forbidden, InvalidRequest, UnsupportedParameter
from serving.contract.tensors import BLS_INPUTS, Tensor
from serving.contract.wire import Array

# The gateway's own to give, or an operator's: whoever sends them is not one of its clients.
NOT_FOR_CLIENTS = frozenset(
    {"control", "grant", "guardrails", "lora_config", "lora_task_id", "lora_weights"}
)
MAX_STRINGS = 1024
_DECLARED = {tensor.name: tensor for tensor in BLS_INPUTS if tensor.name not in NOT_FOR_CLIENTS}
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "BYTES": "bytes_contents",
}
_LENGTH_BYTES = 4


def arrays_of(request: Any, known: Mapping[str, Tensor] = _DECLARED) -> dict[str, Array]:
    """Every input by name, [1, …]; raises InvalidRequest or Forbidden."""
    raws = request.raw_input_contents
    if raws and len(raws) != len(request.inputs):
        raise InvalidRequest(
            f"there are {len(raws)} raw_input_contents for {len(request.inputs)} inputs"
        )
    arrays: dict[str, Array] = {}
    for position, tensor in enumerate(request.inputs):
        declared = _declared(tensor.name, known)
        if tensor.name in arrays:
            raise InvalidRequest(f"input '{tensor.name}' is given twice", param=tensor.name)
        _check(tensor, declared)
        if raws:
            arrays[tensor.name] = _of_raw(tensor, raws[position])
        else:
            arrays[tensor.name] = _of_contents(tensor)
    return arrays


def _declared(name: str, known: Mapping[str, Tensor]) -> Tensor:
    if name in NOT_FOR_CLIENTS:
        raise Forbidden(f"'{name}' is not for clients of the gateway; leave it out", param=name)
    declared = known.get(name)
    if declared is None:
        raise InvalidRequest(f"the model has no input '{name[:64]}'", param=name[:64])
    return declared


def _check(tensor: Any, declared: Tensor) -> None:
    name = declared.name
    if "shared_memory_region" in tensor.parameters:
        raise UnsupportedParameter(f"'{name}' cannot come by shared memory here", param=name)
    datatype = datatype_of(declared)
    if tensor.datatype != datatype:
        raise InvalidRequest(
            f"'{name}' is of type '{tensor.datatype[:16]}', it must be {datatype}", param=name
        )
    _check_shape(name, list(tensor.shape), [1, *declared.dims])
    if datatype == "BYTES" and prod(tensor.shape) > MAX_STRINGS:
        raise InvalidRequest(f"'{name}' has more than {MAX_STRINGS} strings", param=name)


def datatype_of(declared: Tensor) -> str:
    """What the wire calls its type."""
    return "BYTES" if declared.dtype == "STRING" else declared.dtype


def _check_shape(name: str, shape: list[int], expected: list[int]) -> None:
    if len(shape) == len(expected) and shape[0] > 1:
        many = f"'{name}' is a batch of {shape[0]}; a request is one prompt, so its batch is 1"
        raise InvalidRequest(many, param=name)
    if len(shape) != len(expected) or not all(map(_fits, shape, expected)):
        wrong = f"'{name}' has the shape {shape[:8]}, it must be {expected} (-1: any size)"
        raise InvalidRequest(wrong, param=name)


def _fits(size: int, expected: int) -> bool:
    return size >= 0 if expected == -1 else size == expected


def _of_contents(tensor: Any) -> Array:
    """The typed field that belongs to its type; values in any other one do not count."""
    field = _CONTENTS[tensor.datatype]
    values: Sequence[Any] = getattr(tensor.contents, field)
    count = prod(tensor.shape)
    if len(values) != count:
        raise InvalidRequest(
            f"'{tensor.name}' has {len(values)} values in contents.{field}, its shape asks for "
            f"{count}",
            param=tensor.name,
        )
    return _shaped(values, tensor)


def _of_raw(tensor: Any, raw: bytes) -> Array:
    if tensor.HasField("contents"):
        raise InvalidRequest(
            f"'{tensor.name}' has contents beside raw_input_contents", param=tensor.name
        )
    if tensor.datatype == "BYTES":
        return _shaped(_strings(tensor, raw), tensor)
    dtype = np.dtype(triton_to_np_dtype(tensor.datatype))
    size = prod(tensor.shape) * dtype.itemsize
    if len(raw) != size:
        raise InvalidRequest(
            f"'{tensor.name}' has {len(raw)} bytes, its shape and type ask for {size}",
            param=tensor.name,
        )
    return np.frombuffer(raw, dtype).reshape(tensor.shape)


def _shaped(values: Sequence[Any], tensor: Any) -> Array:
    return np.array(values, dtype=triton_to_np_dtype(tensor.datatype)).reshape(tensor.shape)


def _strings(tensor: Any, raw: bytes) -> list[bytes]:
    """Strings each with their length before them."""
    strings = []
    end = 0
    for _ in range(prod(tensor.shape)):
        start = end + _LENGTH_BYTES
        end = start + int.from_bytes(raw[end:start], "little")
        strings.append(raw[start:end])
    if end != len(raw):
        raise InvalidRequest(
            f"'{tensor.name}' is not as many strings as its shape asks for, each after its length "
            "in four bytes",
            param=tensor.name,
        )
    return strings
