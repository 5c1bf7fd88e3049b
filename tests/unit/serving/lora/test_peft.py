from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from lora_layers import (
    DATA,
    FUSED,
    SHAPE,
    SPLIT,
    adapters,
    are_equal,
    delta,
    make_layer,
    without_dora,
    write_peft,
)

from serving.contract.errors import UnfitAdapter
from serving.lora import peft
from serving.lora.fit import LoraLimits, fitted
from serving.lora.modules import Module
from serving.lora.peft_names import path_of, reordered
from serving.lora.tensor_file import TensorFile, rendered
from serving.lora.weights import LoraLayer, decode, encode

BASE = DATA / "base"
Q = "base_model.model.model.layers.0.self_attn.q_proj"


def _deltas(case: str) -> dict[str, np.ndarray]:
    with np.load(DATA / case / "deltas.npz") as deltas:
        return dict(deltas)


@pytest.mark.parametrize("case", ["plain", "rslora", "patterns", "fused"])
def test_what_layers_add_is_what_peft_adds(case: str) -> None:
    layers, deltas = peft.read(DATA / case).layers, _deltas(case)
    assert {path_of(layer) for layer in layers} == set(deltas)
    for layer in layers:
        np.testing.assert_allclose(delta(reordered(layer)), deltas[path_of(layer)], atol=1e-6)


def test_what_dora_changes_is_what_peft_changes() -> None:
    layers, deltas = peft.read(DATA / "dora", base_model=BASE).layers, _deltas("dora")
    assert {path_of(layer) for layer in layers} == set(deltas)
    for layer in layers:
        weight = TensorFile(BASE / "model.safetensors").read(f"{path_of(layer)}.weight")
        assert layer.magnitude is not None
        changed = layer.magnitude[:, np.newaxis] * (weight + delta(layer))
        np.testing.assert_allclose(changed - weight, deltas[path_of(layer)], atol=1e-6)


def test_a_fused_adapter_split_adds_what_peft_adds_to_the_rows() -> None:
    layers = fitted(peft.read(DATA / "fused").layers, SHAPE, SPLIT)
    deltas = _deltas("fused")
    qkv = deltas["model.layers.1.self_attn.qkv_proj"]
    gate_up = deltas["model.layers.1.mlp.gate_up_proj"]
    expected = {
        Module.ATTN_Q: qkv[:8],
        Module.ATTN_K: qkv[8:12],
        Module.ATTN_V: qkv[12:],
        Module.MLP_H_TO_4H: gate_up[:12],
        Module.MLP_GATE: gate_up[12:],
    }
    second = {layer.module: layer for layer in layers if layer.layer == 1}
    assert set(second) == set(expected)
    for module, rows in expected.items():
        np.testing.assert_allclose(delta(second[module]), rows, atol=1e-6)


@pytest.mark.parametrize("case", ["plain", "rslora", "patterns", "fused"])
def test_an_adapter_survives_tensors_and_back(case: str, tmp_path: Path) -> None:
    layers = peft.read(DATA / case).layers
    halves = decode(encode(layers), SHAPE)
    for layer, half in zip(layers, halves, strict=True):
        np.testing.assert_allclose(delta(half), delta(layer), atol=2e-3)
    peft.write(tmp_path, halves, "tiny")
    assert are_equal(peft.read(tmp_path).layers, halves)


def test_dora_survives_tensors_and_back(tmp_path: Path) -> None:
    layers = peft.read(DATA / "dora", base_model=BASE).layers
    halves = decode(encode(layers), SHAPE)
    peft.write(tmp_path, halves, "tiny", base_model=BASE)
    for layer, again in zip(halves, peft.read(tmp_path, base_model=BASE).layers, strict=True):
        assert layer.magnitude is not None
        np.testing.assert_allclose(again.magnitude, layer.magnitude, rtol=1e-6)
        assert np.array_equal(again.b, layer.b)


def test_a_module_without_dora_beside_one_with_it_is_not_changed(tmp_path: Path) -> None:
    plain = make_layer(Module.ATTN_Q)
    peft.write(tmp_path, [plain, make_layer(Module.ATTN_K, is_dora=True)], "", base_model=BASE)
    again = peft.read(tmp_path, base_model=BASE).layers[0]
    np.testing.assert_allclose(again.magnitude, np.ones(8), rtol=1e-6)


@given(adapters())
def test_layers_survive_a_safetensors_file(
    tmp_path_factory: pytest.TempPathFactory, layers: tuple[LoraLayer, ...]
) -> None:
    folder, plain = tmp_path_factory.mktemp("adapter"), without_dora(layers)
    peft.write(folder, plain, "")
    assert (folder / peft.WEIGHTS).read_bytes() == peft.safetensors(plain)
    assert are_equal(peft.read(folder).layers, plain)


def test_a_safetensors_file_has_pefts_names_and_no_alpha(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(peft.safetensors([make_layer(), make_layer(Module.MLP_GATE, 1)]))
    up = "base_model.model.model.layers.1.mlp.up_proj"
    kinds = ("lora_A.weight", "lora_B.weight")
    assert set(TensorFile(path).names) == {f"{at}.{kind}" for at in (Q, up) for kind in kinds}


def test_gate_and_up_change_places_between_peft_and_tensorrt_llm(tmp_path: Path) -> None:
    at = "base_model.model.model.layers.0.mlp.gate_up_proj"
    gate_up = np.arange(24, dtype=np.float32)[:, np.newaxis]
    tensors = {f"{at}.lora_A.weight": np.ones((1, 8), np.float32), f"{at}.lora_B.weight": gate_up}
    (layer,) = peft.read(write_peft(tmp_path, tensors, r=1, lora_alpha=1)).layers
    assert layer.module is Module.MLP_GATE_UP
    assert layer.b[:, 0].tolist() == [*range(12, 24), *range(12)]


def test_gpt2s_fused_attention_fits_an_engine_with_either_kind(tmp_path: Path) -> None:
    at = "base_model.model.transformer.h.0.attn.c_attn"
    whole = make_layer(Module.ATTN_QKV)
    tensors = {f"{at}.lora_A.weight": whole.a, f"{at}.lora_B.weight": whole.b}
    layers = peft.read(write_peft(tmp_path, tensors)).layers
    assert are_equal(fitted(layers, SHAPE, FUSED), (whole,))
    modules = {layer.module for layer in fitted(layers, SHAPE, SPLIT)}
    assert modules == {Module.ATTN_Q, Module.ATTN_K, Module.ATTN_V}


def test_the_base_is_told_as_the_adapter_tells_it(tmp_path: Path) -> None:
    named = write_peft(tmp_path / "a", base_model_name_or_path="org/model")
    assert peft.read(named).base == "org/model"
    assert peft.read(write_peft(tmp_path / "b")).base == ""


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("peft_type", "LOHA", "'LOHA'; only LORA"),
        ("peft_type", "IA3", "'IA3'; only LORA"),
        ("peft_type", None, "only LORA"),
        ("bias", "all", "bias 'all'"),
        ("bias", "lora_only", "bias 'lora_only'"),
        ("modules_to_save", ["lm_head"], "modules_to_save"),
        ("trainable_token_indices", [1], "trainable_token_indices"),
        ("target_parameters", ["experts"], "target_parameters"),
        ("layer_replication", [[0, 1]], "layer_replication"),
        ("alora_invocation_tokens", [1], "aLoRA"),
        ("lora_bias", True, "lora_bias"),
        ("use_qalora", True, "QALoRA"),
        ("init_lora_weights", "pissa_niter_4", "'pissa_niter_4', which changes the base"),
        ("init_lora_weights", ["x"], "changes the base"),
        ("r", 0, "r of the adapter is 0"),
        ("r", None, "r of the adapter is None"),
        ("r", True, "r of the adapter is True"),
        ("r", 4, "asks for rank 4"),
        ("lora_alpha", "8", "lora_alpha of the adapter is '8'"),
        ("lora_alpha", None, "lora_alpha"),
        ("lora_alpha", float("nan"), "lora_alpha"),
        ("lora_alpha", 10**400, "a number of a sensible size"),
        ("rank_pattern", [1], "rank_pattern"),
        ("rank_pattern", {"q_proj": 0}, "rank_pattern of the adapter is 0"),
        ("rank_pattern", {"q_proj": 3}, "asks for rank 3"),
        ("rank_pattern", {"(a+)+$": 2}, "not a simple pattern"),
        ("rank_pattern", {".*.*.*x": 2}, "not a simple pattern"),
        ("rank_pattern", {"*": 2}, "not a simple pattern"),
        ("alpha_pattern", {"q_proj": "x"}, "alpha_pattern of the adapter is 'x'"),
        ("layers_to_transform", [0, 7], r"says \[0, 7\]; it has tensors of \[0\]"),
        ("layers_to_transform", "all", "layers_to_transform of the adapter is 'all'"),
        ("use_dora", True, "has lora_A, lora_B; it must have .* lora_magnitude_vector"),
    ],
)
def test_a_configuration_that_cannot_be_carried_is_refused(
    tmp_path: Path, name: str, value: object, reason: str
) -> None:
    with pytest.raises(UnfitAdapter, match=reason):
        peft.read(write_peft(tmp_path, **{name: value}), base_model=BASE)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.model.embed_tokens.lora_embedding_A",
        "base_model.model.lm_head.lora_A.weight",
        "base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias",
        "base_model.model.model.layers.0.self_attn.q_proj.hada_w1_a",
        "base_model.model.model.layers.0.input_layernorm.weight",
        "base_model.model.model.layers.0.attention.query_key_value.lora_A.weight",
        "base_model.model.model.layers.0.mlp.experts.0.w1.lora_A.weight",
        "base_model.model.model.vision.layers.0.self_attn.q_proj.lora_A.weight",
        "",
    ],
)
def test_a_tensor_without_a_place_is_refused_by_name(tmp_path: Path, name: str) -> None:
    tensors = {name: np.zeros((2, 8), np.float32)}
    with pytest.raises(UnfitAdapter, match="no place") as refused:
        peft.read(write_peft(tmp_path, tensors))
    assert name.removeprefix("base_model.model.").removesuffix(".lora_A.weight") in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({f"{Q}.lora_B.weight": None}, "has lora_A; it must have lora_A, lora_B"),
        ({f"{Q}.lora_A.weight": None}, "has lora_B; it must have"),
        ({f"{Q}.lora_A": np.zeros((2, 8))}, "under two names"),
        ({f"{Q}.lora_magnitude_vector": np.ones(8)}, "must have lora_A, lora_B$"),
        ({f"{Q}.lora_A.weight": np.full((2, 8), np.nan)}, "lora_A of .* not finite"),
        ({f"{Q}.lora_B.weight": np.full((8, 2), np.inf)}, "lora_B of .* not finite"),
        ({f"{Q}.lora_A.weight": np.ones((3, 8))}, r"A \[3, 8\]"),
        ({f"{Q}.lora_B.weight": np.ones((8, 2, 1))}, r"B \[8, 2, 1\]"),
    ],
)
def test_tensors_that_do_not_make_a_pair_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray | None], reason: str
) -> None:
    layer = make_layer()
    tensors = {f"{Q}.lora_A.weight": layer.a, f"{Q}.lora_B.weight": layer.b, **changes}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    arrays = {name: np.asarray(tensor, dtype=np.float32) for name, tensor in kept.items()}
    with pytest.raises(UnfitAdapter, match=reason):
        peft.read(write_peft(tmp_path, arrays))


def test_a_scaling_that_leads_beyond_float32_is_refused(tmp_path: Path) -> None:
    huge = np.full((8, 2), 1e38, np.float32)
    tensors = {f"{Q}.lora_A.weight": np.ones((2, 8), np.float32), f"{Q}.lora_B.weight": huge}
    with pytest.raises(UnfitAdapter, match="beyond float32"):
        peft.read(write_peft(tmp_path, tensors, lora_alpha=64))


def test_an_adapter_of_a_model_with_more_layers_is_refused(tmp_path: Path) -> None:
    layer = make_layer()
    at = Q.replace("layers.0", "layers.5")
    tensors = {f"{at}.lora_A.weight": layer.a, f"{at}.lora_B.weight": layer.b}
    adapter = peft.read(write_peft(tmp_path, tensors, layers_to_transform=5))
    with pytest.raises(UnfitAdapter, match=r"layers\.5\.self_attn\.q_proj is not in the model"):
        fitted(adapter.layers, SHAPE, LoraLimits(8, frozenset({Module.ATTN_Q})))


def test_a_pickled_adapter_is_refused_unread(tmp_path: Path) -> None:
    write_peft(tmp_path)
    (tmp_path / peft.WEIGHTS).rename(tmp_path / "adapter_model.bin")
    with pytest.raises(UnfitAdapter, match="a pickle, which can run code"):
        peft.read(tmp_path)


@pytest.mark.parametrize("text", [None, "", "[]", "[" * 100_000])
def test_a_configuration_that_is_missing_or_no_object_is_refused(
    tmp_path: Path, text: str | None
) -> None:
    write_peft(tmp_path)
    (tmp_path / peft.CONFIG).unlink()
    if text is not None:
        (tmp_path / peft.CONFIG).write_text(text)
    with pytest.raises(UnfitAdapter, match=r"adapter_config\.json"):
        peft.read(tmp_path)


def test_dora_needs_its_base_models_weights(tmp_path: Path) -> None:
    with pytest.raises(UnfitAdapter, match="give the folder of the base"):
        peft.read(DATA / "dora")
    with pytest.raises(UnfitAdapter, match=r"has no 'model\.layers\.0\..*\.weight'"):
        peft.read(DATA / "dora", base_model=tmp_path)
    with pytest.raises(UnfitAdapter, match="give the folder of the base"):
        peft.write(tmp_path, [make_layer(is_dora=True)], "")


@pytest.mark.parametrize(
    ("weight", "reason"),
    [(np.ones((9, 8)), r"is \[9, 8\]"), (np.zeros((8, 8)), "row of zeros")],
)
def test_dora_on_a_base_of_another_shape_or_of_zeros_is_refused(
    tmp_path: Path, weight: np.ndarray, reason: str
) -> None:
    layer = make_layer()
    tensors = {
        f"{Q}.lora_A.weight": layer.a,
        f"{Q}.lora_B.weight": np.zeros_like(layer.b),
        f"{Q}.lora_magnitude_vector": np.ones(8, np.float32),
    }
    base = tmp_path / "base"
    base.mkdir()
    name = "model.layers.0.self_attn.q_proj.weight"
    (base / "model.safetensors").write_bytes(rendered({name: weight.astype(np.float32)}))
    with pytest.raises(UnfitAdapter, match=reason):
        peft.read(write_peft(tmp_path / "adapter", tensors, use_dora=True), base_model=base)


def test_openvinos_adapters_cannot_carry_dora() -> None:
    with pytest.raises(UnfitAdapter, match="q_proj is DoRA"):
        peft.safetensors([make_layer(is_dora=True)])
