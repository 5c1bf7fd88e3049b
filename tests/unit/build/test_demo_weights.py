"""The weights that a GGUF file was written from are read back from it."""

from __future__ import annotations

from pathlib import Path

import gguf_weights
import numpy as np
import pytest
from gguf import GGUFReader
from publish_adapters import MODEL

from enginebuild import gguf_llama
from serving.lora.shape import shape_of

CONFIG = gguf_llama.LlamaConfig(
    vocab_size=264,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
)


@pytest.fixture(scope="module")
def weights() -> dict[str, gguf_weights.FloatArray]:
    rng = np.random.default_rng(3)
    shapes = gguf_llama.tensor_shapes(CONFIG, tied=True)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def file(tmp_path: Path, weights: dict[str, gguf_weights.FloatArray]) -> Path:
    path = tmp_path / "model.gguf"
    tokenizer = MODEL / "tokenizer.json"
    gguf_llama.write_llama(
        path, CONFIG, weights, tokenizer, eos_token="<|im_end|>", name="reading test"
    )
    return path


def test_weights_come_back_to_the_precision_of_eight_bits(
    file: Path, weights: dict[str, gguf_weights.FloatArray]
) -> None:
    _, read = gguf_weights.read(file)
    assert read.keys() == weights.keys()
    for name, weight in weights.items():
        assert np.abs(read[name] - weight).max() < np.abs(weight).max() / 120, name


def test_the_shape_comes_back(file: Path) -> None:
    sizes, _ = gguf_weights.read(file)
    assert sizes["num_hidden_layers"] == CONFIG.num_hidden_layers
    assert sizes["head_dim"] == CONFIG.head_dim
    assert sizes["vocab_size"] == CONFIG.vocab_size


def test_the_file_in_git_has_the_shape_of_the_served_model() -> None:
    sizes = gguf_weights.sizes(GGUFReader(Path(gguf_weights.__file__).with_name("demo.gguf")))
    shape = shape_of(MODEL)
    assert sizes["num_hidden_layers"] == shape.layers
    assert sizes["hidden_size"] == shape.hidden
    assert sizes["intermediate_size"] == shape.intermediate
