"""A GGUF file that we write is a Llama that OpenVINO runs, and says what it was given."""

import json

import numpy as np
import pytest
from gguf import GGUFReader
from gguf.quants import dequantize

from enginebuild import grammar_probe
from enginebuild.gguf_llama import (
    LlamaConfig,
    _interleave_rotary_halves,
    tensor_shapes,
    write_llama,
)
from serving.engines.engine import Engine
from serving.engines.messages import EngineSettings
from serving.engines.requests import EngineRequest
from serving.text import model_files
from serving.text.tokenizer import Tokenizer

CONFIG = LlamaConfig(
    vocab_size=288,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    rope_theta=5000.0,
)


def tensors(*, tied: bool):
    random = np.random.default_rng(0)
    shapes = tensor_shapes(CONFIG, tied=tied)
    return {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}


def written(folder, given, **more):
    tokenizer = folder / "source.json"
    tokenizer.write_text(json.dumps(grammar_probe.tokenizer_json()))
    path = folder / "model.gguf"
    end = grammar_probe.END_TOKEN
    write_llama(path, CONFIG, given, tokenizer, eos_token=end, name="x", **more)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return written(tmp_path_factory.mktemp("gguf"), tensors(tied=False), chat_template="{{ 1 }}")


def test_the_file_says_what_the_model_is(model):
    assert model_files.context_length(model) == 128
    assert model_files.vocab_size(model) == 288
    assert model_files.chat_template(model) == "{{ 1 }}"
    end = Tokenizer.load(model).encode(grammar_probe.END_TOKEN, has_template=True)
    assert model_files.end_ids(model) == tuple(end)
    for name, value in (
        ("llama.block_count", 2),
        ("llama.attention.head_count", 4),
        ("llama.attention.head_count_kv", 2),
        ("llama.rope.freq_base", 5000.0),
        ("llama.rope.dimension_count", 16),
    ):
        assert model_files.gguf_field(model, name) == value


def test_weights_come_back_as_near_as_eight_bits_are(model):
    given = tensors(tied=False)
    read = {tensor.name: tensor for tensor in GGUFReader(model).tensors}
    assert len(read) == len(given)
    table = {
        "token_embd.weight": "model.embed_tokens.weight",
        "output.weight": "lm_head.weight",
        "blk.1.ffn_down.weight": "model.layers.1.mlp.down_proj.weight",
        "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
        "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
    }
    for theirs, ours in table.items():
        values = dequantize(read[theirs].data, read[theirs].tensor_type)
        np.testing.assert_allclose(values.reshape(given[ours].shape), given[ours], atol=4e-3)


def test_rotary_halves_become_pairs():
    weight = np.arange(2 * 4, dtype=np.float32)[:, None]
    assert _interleave_rotary_halves(weight, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("tied", [False, True])
def test_openvino_runs_it(tmp_path, tied):
    path = written(tmp_path, tensors(tied=tied))
    engine = Engine(EngineSettings(path, 256, 2, 64))
    engine.add((1, 0, 0), EngineRequest(np.arange(5, dtype=np.int64), 4))
    made = []
    while not engine.is_idle:
        made += [token for update in engine.step() for token in update.tokens]
    assert len(made) == 4


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("model.norm.weight"), "model.norm.weight"),
        (lambda t: t.update(extra=np.zeros(1, np.float32)), "extra"),
        (lambda t: t.update({"model.norm.weight": np.zeros(3, np.float32)}), r"shape \(3,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, told):
    given = tensors(tied=True)
    change(given)
    with pytest.raises(ValueError, match=told):
        written(tmp_path, given)


def test_the_grammar_probe_in_git_is_the_one_that_is_generated(tmp_path):
    grammar_probe.main(tmp_path / "probe.gguf")
    from serving.engines.grammar import PROBE

    assert (tmp_path / "probe.gguf").read_bytes() == PROBE.read_bytes()
