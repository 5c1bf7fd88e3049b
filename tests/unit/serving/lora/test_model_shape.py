import json
from pathlib import Path

import pytest
from lora_layers import DATA, SHAPE

from serving.lora.modules import HF_NAMES, Module
from serving.lora.shape import ModelShape, shape_of


def test_shape_comes_from_a_hugging_face_config() -> None:
    assert shape_of(DATA / "base") == SHAPE


def test_dims_are_those_of_the_projections() -> None:
    dims = {HF_NAMES[module].split(".")[1]: SHAPE.dims(module) for module in HF_NAMES}
    assert dims == {
        "q_proj": (8, 8),
        "k_proj": (8, 4),
        "v_proj": (8, 4),
        "qkv_proj": (8, 16),
        "o_proj": (8, 8),
        "gate_proj": (8, 12),
        "up_proj": (8, 12),
        "gate_up_proj": (8, 24),
        "down_proj": (12, 8),
    }


def test_heads_may_be_wider_together_than_the_hidden_state() -> None:
    shape = ModelShape(layers=1, hidden=8, intermediate=8, heads=4, kv_heads=1, head_dim=4)
    assert shape.dims(Module.ATTN_DENSE) == (16, 8)
    assert shape.dims(Module.ATTN_QKV) == (8, 24)


def test_shape_comes_from_an_engines_config(tmp_path: Path) -> None:
    sizes = {"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 12}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_size": 2}
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_config": sizes | heads}))
    assert shape_of(tmp_path) == SHAPE


def test_shape_comes_from_gpt2s_names(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"n_layer": 3, "n_embd": 8, "n_head": 2}')
    assert shape_of(tmp_path) == ModelShape(3, 8, 32, 2, 2, 4)


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"hidden_size": "x"}'])
def test_a_config_without_the_sizes_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json' does not tell the model's shape"):
        shape_of(tmp_path)
