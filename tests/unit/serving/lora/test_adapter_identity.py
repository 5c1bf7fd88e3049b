from dataclasses import replace

import numpy as np
from hypothesis import given
from lora_layers import adapters

from serving.lora.identity import task_id
from serving.lora.weights import LoraLayer, LoraTensors, encode

KNOWN = 2748232128492065113


def _tensors() -> LoraTensors:
    """Of nothing random: their bytes are the same for ever."""
    weights = np.arange(12, dtype=np.float16).reshape(2, 6)
    return LoraTensors(weights, np.array([[1, 0, 2], [7, 1, 2]], dtype=np.int32))


def test_the_number_of_an_adapter_never_changes() -> None:
    assert task_id("demo", _tensors()) == KNOWN


@given(adapters())
def test_numbers_fit_a_signed_integer_and_are_never_0(layers: tuple[LoraLayer, ...]) -> None:
    assert 0 < task_id("demo", encode(layers)) < 2**63


def test_the_number_follows_base_weights_and_configuration() -> None:
    tensors = _tensors()
    other_weights, other_config = tensors.weights.copy(), tensors.config.copy()
    other_weights[0, 0] += 1
    other_config[0, 1] = 1
    numbers = {
        task_id("demo", tensors),
        task_id("demo2", tensors),
        task_id("demo", replace(tensors, weights=other_weights)),
        task_id("demo", replace(tensors, config=other_config)),
    }
    assert len(numbers) == 4


def test_padding_order_of_rows_and_an_empty_dora_column_do_not_matter() -> None:
    tensors = _tensors()
    padded = LoraTensors(
        np.pad(tensors.weights[::-1], ((0, 0), (0, 5))),
        np.pad(tensors.config[::-1], ((0, 0), (0, 1))),
    )
    assert task_id("demo", padded) == task_id("demo", tensors)


def test_an_adapter_of_zeros_has_a_number() -> None:
    assert task_id("demo", replace(_tensors(), weights=np.zeros((2, 9), np.float16))) > 0
