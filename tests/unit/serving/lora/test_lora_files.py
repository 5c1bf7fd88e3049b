from pathlib import Path

import numpy as np
import pytest
from lora_layers import SHAPE, are_equal, make_layer

from serving.contract.errors import UnfitAdapter
from serving.lora import files
from serving.lora.weights import LoraTensors, decode, encode


@pytest.fixture
def tensors() -> LoraTensors:
    return encode([make_layer(), make_layer(layer=1)])


def test_files_have_the_names_types_and_leading_1_of_the_converter(
    tmp_path: Path, tensors: LoraTensors
) -> None:
    files.save(tmp_path, tensors)
    weights = np.load(tmp_path / "model.lora_weights.npy")
    config = np.load(tmp_path / "model.lora_config.npy")
    assert (weights.dtype, weights.shape) == (np.float16, (1, 2, 32))
    assert (config.dtype, config.shape) == (np.int32, (1, 2, 3))


def test_what_was_saved_is_loaded(tmp_path: Path, tensors: LoraTensors) -> None:
    files.save(tmp_path, tensors)
    loaded = files.load(tmp_path)
    assert are_equal(decode(loaded, SHAPE), decode(tensors, SHAPE))


@pytest.mark.parametrize(
    ("name", "array", "reason"),
    [
        (files.WEIGHTS, np.zeros((1, 2, 4), np.float32), "must be an array of float16"),
        (files.WEIGHTS, np.zeros((2, 4), np.float16), r"must be \[1, rows, width\]"),
        (files.WEIGHTS, np.zeros((2, 2, 4), np.float16), r"must be \[1, rows, width\]"),
        (files.WEIGHTS, np.zeros((1, 3, 4), np.float16), "3 rows of weights and 2"),
        (files.CONFIG, np.zeros((1, 2, 3), np.int64), "must be an array of int32"),
        (files.CONFIG, np.array([{}]), "cannot be read as .npy"),
    ],
)
def test_files_of_another_form_are_refused(
    tmp_path: Path, tensors: LoraTensors, name: str, array: np.ndarray, reason: str
) -> None:
    files.save(tmp_path, tensors)
    np.save(tmp_path / name, array)
    with pytest.raises(UnfitAdapter, match=reason):
        files.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04 no archive",
        b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 0x2000,
        b"\x93NUMPY\x01\x00\x40\x00{'descr':'<f2','fortran_order':False,'shape':(1,2,99999999)}   ",
    ],
)
def test_files_that_are_missing_or_cut_are_refused(
    tmp_path: Path, tensors: LoraTensors, content: bytes | None
) -> None:
    files.save(tmp_path, tensors)
    (tmp_path / files.WEIGHTS).unlink()
    if content is not None:
        (tmp_path / files.WEIGHTS).write_bytes(content)
    with pytest.raises(UnfitAdapter, match="cannot be read"):
        files.load(tmp_path)
