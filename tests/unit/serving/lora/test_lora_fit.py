from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from lora_layers import FUSED, SHAPE, SPLIT, adapters, are_equal, delta, make_layer

from serving.contract.errors import UnfitAdapter
from serving.lora.fit import LoraLimits, check, fitted
from serving.lora.modules import PARTS, SPLIT_MODULES, Module
from serving.lora.weights import LoraLayer

SPLIT_DORA = replace(SPLIT, can_dora=True)
FUSED_DORA = replace(FUSED, can_dora=True, max_rank=9)


def _effect(layers: tuple[LoraLayer, ...], weight: np.ndarray) -> dict[tuple[int, Module], object]:
    """What becomes of base weights (the same for all), fused modules cut into their parts."""
    effect: dict[tuple[int, Module], object] = {}
    for layer in layers:
        inputs, outputs = SHAPE.dims(layer.module)
        changed = weight[:outputs, :inputs] + delta(layer)
        if layer.magnitude is not None:
            changed = layer.magnitude[:, np.newaxis] * changed
        parts = PARTS.get(layer.module, (layer.module,))
        ends = np.cumsum([SHAPE.dims(part)[1] for part in parts])
        for part, rows in zip(parts, np.split(changed, ends)[:-1], strict=True):
            effect[layer.layer, part] = rows
    return effect


def test_an_adapter_of_the_engines_modules_stays_as_it_is() -> None:
    layers = (make_layer(), make_layer(Module.MLP_GATE, 1))
    assert are_equal(fitted(layers, SHAPE, SPLIT), layers)


@pytest.mark.parametrize("whole", PARTS)
@pytest.mark.parametrize("is_dora", [False, True])
def test_a_fused_module_is_split_exactly(whole: Module, is_dora: bool) -> None:
    layer = make_layer(whole, is_dora=is_dora)
    parts = fitted([layer], SHAPE, SPLIT_DORA)
    assert {part.module for part in parts} == set(PARTS[whole])
    assert all(part.a is layer.a for part in parts)
    by_module = {part.module: part for part in parts}
    ordered = [by_module[module] for module in PARTS[whole]]
    assert np.array_equal(np.concatenate([delta(part) for part in ordered]), delta(layer))
    if is_dora:
        magnitude = np.concatenate([part.magnitude for part in ordered])
        assert np.array_equal(magnitude, layer.magnitude)


@given(adapters(modules=SPLIT_MODULES))
def test_split_modules_are_fused_exactly(layers: tuple[LoraLayer, ...]) -> None:
    base = np.zeros((24, 12), dtype=np.float32)
    before, after = _effect(layers, base), _effect(fitted(layers, SHAPE, FUSED_DORA), base)
    assert set(before) <= set(after)
    for place, changed in after.items():
        assert np.array_equal(changed, before.get(place, np.zeros_like(changed)))


def test_fusing_what_was_split_gives_the_rank_back() -> None:
    layer = make_layer(Module.ATTN_QKV)
    parts = fitted([layer], SHAPE, SPLIT)
    assert are_equal(fitted(parts, SHAPE, FUSED), (layer,))


def test_parts_with_an_a_of_their_own_add_their_ranks() -> None:
    parts = [make_layer(Module.ATTN_Q, rank=1), make_layer(Module.ATTN_V, rank=2)]
    (whole,) = fitted(parts, SHAPE, FUSED)
    assert (whole.module, whole.rank) == (Module.ATTN_QKV, 3)
    assert not whole.b[8:12].any()
    with pytest.raises(UnfitAdapter, match=r"qkv_proj has rank 3; the engine takes up to 2"):
        fitted(parts, SHAPE, replace(FUSED, max_rank=2))


def test_a_part_that_is_left_alone_keeps_its_size_under_dora() -> None:
    (whole,) = fitted([make_layer(Module.ATTN_Q, is_dora=True)], SHAPE, FUSED_DORA)
    assert whole.magnitude is not None
    assert whole.magnitude[8:].tolist() == [1.0] * 8


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (make_layer(Module.MLP_GATE), "mlp.up_proj is module mlp_gate; the engine takes attn_k, a"),
        (make_layer(rank=9), "q_proj has rank 9; the engine takes up to 8"),
        (make_layer(is_dora=True), "is DoRA, which the engine does not take"),
        (replace(make_layer(), layer=2), "layers.2.self_attn.q_proj is not in the model, .* 2"),
        (replace(make_layer(), b=np.zeros((9, 2), np.float32)), r"B \[9, 2\]; .* \[8, 2\]"),
        (replace(make_layer(), a=np.zeros((2, 7), np.float32)), r"A \[2, 7\]"),
        (replace(make_layer(), a=np.zeros((3, 8), np.float32)), r"A \[3, 8\]"),
    ],
)
def test_a_layer_that_does_not_fit_is_refused_by_name(layer: LoraLayer, reason: str) -> None:
    attention = frozenset({Module.ATTN_Q, Module.ATTN_K})
    with pytest.raises(UnfitAdapter, match=reason):
        check([layer], SHAPE, LoraLimits(max_rank=8, modules=attention))


@pytest.mark.parametrize("module", [Module.ATTN_QKV, Module.ATTN_Q])
def test_a_module_of_another_width_is_neither_split_nor_fused(module: Module) -> None:
    layer = replace(make_layer(module), b=np.zeros((5, 2), np.float32))
    with pytest.raises(UnfitAdapter, match=r"self_attn\.q"):
        fitted([layer], SHAPE, SPLIT if module in PARTS else FUSED)
