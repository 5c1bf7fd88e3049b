"""The safetensors format, read with every length checked and written; float32 out of every type."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract.errors import UnfitAdapter

_LENGTH = struct.Struct("<Q")
_MAX_HEADER_BYTES = 16 << 20
_MAX_DIMENSIONS = 8
# bfloat16 is the upper half of a float32.
_STORED: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}


class TensorFile:
    """A safetensors file, mapped; UnfitAdapter, with the reason, when it is not one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._bytes: npt.NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise UnfitAdapter(f"'{path}' cannot be read: {error}") from error
        self._start, header = self._header()
        self._entries = {name: self._entry(name, entry) for name, entry in header.items()}
        self._check_coverage()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """KeyError when there is no tensor of that name."""
        kind, shape, begin, end = self._entries[name]
        stored = self._bytes[self._start + begin : self._start + end].tobytes()
        values: npt.NDArray[Any] = np.frombuffer(stored, dtype=_STORED[kind]).reshape(shape)
        if kind == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)

    def _bad(self, why: str) -> UnfitAdapter:
        return UnfitAdapter(f"'{self.path}' is not a sound safetensors file: {why}")

    def _header(self) -> tuple[int, dict[str, Any]]:
        if len(self._bytes) < _LENGTH.size:
            raise self._bad("it is too short")
        (length,) = _LENGTH.unpack(self._bytes[: _LENGTH.size].tobytes())
        start = _LENGTH.size + length
        if length > _MAX_HEADER_BYTES or start > len(self._bytes):
            raise self._bad(f"its header claims {length} bytes")
        try:
            text = self._bytes[_LENGTH.size : start].tobytes().decode()
            header = json.loads(text, object_pairs_hook=_no_duplicates)
        except (ValueError, RecursionError) as error:
            raise self._bad(f"its header is not JSON: {error}") from error
        if not isinstance(header, dict):
            raise self._bad("its header is not an object")
        return start, {name: entry for name, entry in header.items() if name != "__metadata__"}

    def _entry(self, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
        try:
            kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            numbers = [*shape, begin, end]
            is_sound = all(type(number) is int and number >= 0 for number in numbers)
            is_sound = is_sound and len(shape) <= _MAX_DIMENSIONS and isinstance(kind, str)
        except (TypeError, KeyError, ValueError) as error:
            raise self._bad(f"the entry of '{name}' is malformed") from error
        if not is_sound:
            raise self._bad(f"the entry of '{name}' is malformed")
        if kind not in _STORED:
            raise UnfitAdapter(f"tensor '{name}' is {kind}; only F32, F16 and BF16 are taken")
        if end - begin != math.prod(shape) * _STORED[kind].itemsize:
            raise self._bad(f"the size of '{name}' does not follow from its shape")
        return kind, tuple(shape), begin, end

    def _check_coverage(self) -> None:
        """The tensors lie one after the other, to the end: no overlap, no hole, nothing outside."""
        at = 0
        for begin, end in sorted((begin, end) for _, _, begin, end in self._entries.values()):
            if begin != at:
                raise self._bad("its tensors overlap or leave a hole")
            at = end
        if self._start + at != len(self._bytes):
            raise self._bad(f"its tensors end at {at}, {len(self._bytes) - self._start} are there")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name appears twice")
    return dict(pairs)


def rendered(tensors: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    """The file of these tensors, as F32; its header is padded to 8 bytes as the format wants."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [at, at := at + tensor.nbytes],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = (np.ascontiguousarray(tensor, dtype="<f4").tobytes() for tensor in tensors.values())
    return b"".join((_LENGTH.pack(len(text)), text, *body))
