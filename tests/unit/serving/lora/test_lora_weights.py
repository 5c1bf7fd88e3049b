from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from lora_layers import SHAPE, adapters, are_equal, make_layer

from serving.contract.errors import UnfitAdapter
from serving.lora.modules import Module
from serving.lora.weights import LoraLayer, LoraTensors, decode, encode


def _tiny(**changes: object) -> LoraLayer:
    """Two inputs, three outputs, rank 1."""
    a = np.array([[1, 2]], dtype=np.float32)
    b = np.array([[3], [4], [5]], dtype=np.float32)
    return replace(LoraLayer(Module.ATTN_V, 1, a, b), **changes)


def test_a_row_is_a_then_b_then_zeros_to_the_widest() -> None:
    wide = LoraLayer(
        Module.ATTN_Q,
        1,
        np.array([[1, 2], [3, 4]], dtype=np.float32),
        np.array([[5, 6], [7, 8], [9, 10]], dtype=np.float32),
    )
    tensors = encode([_tiny(), wide])
    assert tensors.config.tolist() == [[1, 1, 2], [3, 1, 1]]
    assert tensors.weights.tolist() == [
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [1, 2, 3, 4, 5, 0, 0, 0, 0, 0],
    ]
    little_endian_ones = np.array([1, 2, 3, 4, 5], dtype="<f2").tobytes()
    assert tensors.weights[1].tobytes() == little_endian_ones + bytes(10)


def test_a_dora_row_ends_with_its_magnitude_and_says_so() -> None:
    magnitude = np.array([0.5, 1, 1.5], dtype=np.float32)
    tensors = encode([_tiny(magnitude=magnitude), _tiny(layer=0)])
    assert tensors.config.tolist() == [[3, 0, 1, 0], [3, 1, 1, 1]]
    assert tensors.weights.tolist() == [[1, 2, 3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 5, 0.5, 1, 1.5]]


def test_there_is_a_fourth_column_only_for_dora_or_when_asked_for() -> None:
    plain, dora = make_layer(), make_layer(is_dora=True)
    assert encode([plain]).config.shape == (1, 3)
    assert encode([plain], columns=4).config.tolist() == [[1, 0, 2, 0]]
    assert encode([plain], columns=3).config.shape == (1, 3)
    assert encode([dora]).config.shape == (1, 4)
    with pytest.raises(UnfitAdapter, match="4 columns"):
        encode([dora], columns=3)


@given(adapters())
def test_layers_survive_the_tensors(layers: tuple[LoraLayer, ...]) -> None:
    tensors = encode(layers[::-1])
    assert tensors.weights.dtype == np.float16
    assert tensors.config.dtype == np.int32
    assert are_equal(decode(tensors, SHAPE), layers)


def test_padding_may_be_wider_than_needed() -> None:
    layer = make_layer()
    tensors = encode([layer])
    padded = LoraTensors(np.pad(tensors.weights, ((0, 0), (0, 9))), tensors.config)
    assert are_equal(decode(padded, SHAPE), (layer,))


@pytest.mark.parametrize("peak", [65520, -1e5])
def test_a_value_beyond_float16_is_refused(peak: float) -> None:
    layer = make_layer()
    layer.b[0, 0] = peak
    with pytest.raises(UnfitAdapter, match=r"layers\.0\.self_attn\.q_proj .* float16"):
        encode([layer])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    layer = make_layer()
    tensors = encode([layer])
    tensors.weights[0, 3] = layer.a[0, 0] = value
    with pytest.raises(UnfitAdapter, match="not finite"):
        encode([layer])
    with pytest.raises(UnfitAdapter, match="not finite"):
        decode(tensors, SHAPE)


def test_an_adapter_without_layers_or_with_one_twice_is_refused() -> None:
    with pytest.raises(UnfitAdapter, match="no LoRA tensors"):
        encode([])
    with pytest.raises(UnfitAdapter, match="q_proj twice"):
        encode([make_layer(), make_layer(seed=1)])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([40, 0, 2], "names module 40"),
        ([13, 0, 2], "names module 13"),
        ([1, 2, 2], "2 layers"),
        ([1, -1, 2], "2 layers"),
        ([1, 0, 0], "rank and is_dora"),
        ([1, 0, 2, 7], "rank and is_dora"),
        ([1, 0, 3], "another shape"),
        ([1, 0, 1], "another shape"),
        ([1, 0, 2**31 - 1], "another shape"),
        ([1, 0, 2, 1], "another shape"),
    ],
)
def test_a_row_that_the_model_has_no_place_for_is_refused(row: list[int], reason: str) -> None:
    tensors = LoraTensors(encode([make_layer()]).weights, np.array([row], dtype=np.int32))
    with pytest.raises(UnfitAdapter, match=reason):
        decode(tensors, SHAPE)


@pytest.mark.parametrize(
    ("weights", "config"),
    [
        (np.zeros((2, 4), np.float16), np.zeros((1, 3), np.int32)),
        (np.zeros((1, 4), np.float16), np.zeros((1, 2), np.int32)),
        (np.zeros((1, 4), np.float16), np.zeros((1, 5), np.int32)),
        (np.zeros((1, 1, 4), np.float16), np.zeros((1, 1, 3), np.int32)),
        (np.zeros((1, 4), np.float32), np.zeros((1, 3), np.int32)),
        (np.zeros((1, 4), np.float16), np.zeros((1, 3), np.int64)),
        (np.zeros((0, 4), np.float16), np.zeros((0, 3), np.int32)),
    ],
)
def test_tensors_of_another_form_are_refused(weights: np.ndarray, config: np.ndarray) -> None:
    with pytest.raises(UnfitAdapter):
        decode(LoraTensors(weights, config), SHAPE)
