import json
import struct
from pathlib import Path

import numpy as np
import pytest

from serving.contract.errors import UnfitAdapter
from serving.lora.tensor_file import TensorFile, rendered


def _file(folder: Path, header: object, body: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def _entry(dtype: str = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_what_was_rendered_is_read(tmp_path: Path) -> None:
    tensors = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "none": np.zeros((0, 4), dtype=np.float32),
        "b": np.array(1.5, dtype=np.float32),
    }
    path = tmp_path / "x.safetensors"
    path.write_bytes(rendered(tensors))
    file = TensorFile(path)
    assert file.names == ("a", "none", "b")
    for name, tensor in tensors.items():
        assert np.array_equal(file.read(name), tensor)
        assert file.read(name).shape == tensor.shape


def test_halves_of_both_kinds_become_float32(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "bfloat": _entry("BF16", [2], [0, 4]),
        "half": _entry("F16", [2], [4, 8]),
    }
    body = bytes.fromhex("c03f20c0") + np.array([1.5, -2.5], dtype="<f2").tobytes()
    file = TensorFile(_file(tmp_path, header, body))
    for name in ("bfloat", "half"):
        assert file.read(name).dtype == np.float32
        assert file.read(name).tolist() == [1.5, -2.5]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"x": {}, "x": {}}', "appears twice"),
        ([], "not an object"),
        ({"x": 1}, "malformed"),
        ({"x": {}}, "malformed"),
        ({"x": _entry(shape=[-1])}, "malformed"),
        ({"x": _entry(shape=[True])}, "malformed"),
        ({"x": _entry(shape=[1.0])}, "malformed"),
        ({"x": _entry(shape=[1] * 9)}, "malformed"),
        ({"x": _entry(offsets=[0])}, "malformed"),
        ({"x": _entry(offsets=["0", "4"])}, "malformed"),
        ({"x": _entry(dtype=["F32"])}, "malformed"),
        ({"x": _entry("I8")}, "only F32, F16 and BF16"),
        ({"x": _entry(shape=[2])}, "does not follow from its shape"),
        ({"x": _entry(shape=[2**40, 2**40])}, "does not follow from its shape"),
        ({"x": _entry(offsets=[4, 0])}, "does not follow from its shape"),
        ({"x": _entry(offsets=[4, 8])}, "leave a hole"),
        ({"x": _entry(), "y": _entry()}, "overlap"),
        ({"x": _entry(shape=[2], offsets=[0, 8])}, "end at 8, 4 are there"),
        ({}, "end at 0, 4 are there"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: object, reason: str) -> None:
    with pytest.raises(UnfitAdapter, match=reason):
        TensorFile(_file(tmp_path, header, bytes(4)))


@pytest.mark.parametrize("length", [100, 2**63, 17 << 20])
def test_a_header_that_is_longer_than_the_file_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(UnfitAdapter, match=f"claims {length} bytes"):
        TensorFile(_file(tmp_path, {}, length=length))


@pytest.mark.parametrize("content", [None, b"", b"1234567"])
def test_a_file_that_is_missing_or_short_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnfitAdapter, match=r"cannot be read|too short"):
        TensorFile(path)
