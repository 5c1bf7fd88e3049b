"""A GGUF file becomes an OpenVINO folder with Hugging Face's names, or the layer is named."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from build_site import DEMO_GGUF, ROOT, SMALL, write_gguf
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import quantize

from enginebuild.errors import BuildError
from enginebuild.gguf_tensors import MODULES, linear_weights
from enginebuild.gguf_to_openvino import _rename, convert
from enginebuild.grammar_probe import main as write_probe
from serving.bls.language import Language
from serving.contract.calls import Call, Sampling
from serving.text.model_files import context_length, end_ids, special_tokens, vocab_size

SHIPPED = ROOT / "model_repository" / "demo_engine" / "1" / "model"


def names(folder: Path) -> set[str]:
    graph = ov.Core().read_model(folder / "openvino_model.xml")
    found = [op.get_friendly_name() for op in graph.get_ordered_ops()]
    return {name for name in found if name.startswith("__module.")}


def nameless(graph: Path) -> str:
    """Without the names of its nodes, which count whatever the process made before."""
    return re.sub(r' name="[^"]*"', "", graph.read_text())


def expected(layers: int) -> set[str]:
    return {
        f"__module.model.layers.{layer}.{module}/ov_ext::linear/MatMul"
        for layer in range(layers)
        for module in MODULES.values()
    }


def test_the_demo_in_git_is_what_its_gguf_file_becomes(tmp_path: Path) -> None:
    convert(DEMO_GGUF, tmp_path)
    for name in ("openvino_model.xml", "openvino_model.bin", "chat_template.jinja"):
        assert (tmp_path / name).read_bytes() == (SHIPPED / name).read_bytes(), name
    for graph in ("openvino_tokenizer", "openvino_detokenizer"):
        assert (tmp_path / f"{graph}.bin").read_bytes() == (SHIPPED / f"{graph}.bin").read_bytes()
        assert nameless(tmp_path / f"{graph}.xml") == nameless(SHIPPED / f"{graph}.xml")
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(
        (SHIPPED / "config.json").read_text()
    )
    call = Call(messages=({"role": "user", "content": "Héllo, 12 + 30?"},), sampling=Sampling())
    assert Language.load(tmp_path).prompt(call) == Language.load(SHIPPED).prompt(call)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A GGUF file with one layer, fewer KV heads and a tied output; and what it becomes."""
    folder = tmp_path_factory.mktemp("small")
    source = write_gguf(folder / "m.gguf")
    convert(source, folder / "out")
    return source, folder / "out"


def test_every_linear_layer_of_a_tied_model_with_shared_heads_gets_its_name(small) -> None:
    _, folder = small
    assert names(folder) == expected(layers=1)
    config = json.loads((folder / "config.json").read_text())
    assert config["tie_word_embeddings"] is True
    assert (config["num_key_value_heads"], config["head_dim"]) == (1, 32)


def test_every_linear_layer_of_an_untied_model_gets_its_name(tmp_path: Path) -> None:
    shape = replace(
        SMALL,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        hidden_size=128,
    )
    convert(write_gguf(tmp_path / "m.gguf", shape, tied=False), tmp_path / "out")
    assert names(tmp_path / "out") == expected(layers=3)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False


def test_the_folder_says_of_the_language_what_the_file_says(small) -> None:
    for read in (context_length, vocab_size, end_ids, special_tokens):
        assert read(small[0]) == read(small[1]), read.__name__
    for text in ("the th", "ü\n\t", "日本"):
        tokenizers = [Language.load(path).tokenizer for path in small]
        assert len({tuple(tokenizer.encode(text)) for tokenizer in tokenizers}) == 1


def test_layers_that_are_alike_cannot_be_told_apart(tmp_path: Path) -> None:
    write_probe(tmp_path / "m.gguf")
    with pytest.raises(BuildError, match=r"model\.layers\.0\.self_attn\.\w+ have the same weights"):
        convert(tmp_path / "m.gguf", tmp_path / "out")


def test_a_layer_that_the_graph_lacks_is_named(small) -> None:
    source, folder = small
    graph = ov.Core().read_model(folder / "openvino_model.xml")
    with pytest.raises(BuildError, match=r"are model\.layers\.9\.mlp\.up_proj 0 times"):
        _rename(graph, linear_weights(source) | {"0" * 64: "model.layers.9.mlp.up_proj"})


def test_a_kind_of_weights_that_is_not_known_is_named(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_head_count(1)
    weights = quantize(np.ones((32, 32), np.float32), GGMLQuantizationType.Q4_0)
    writer.add_tensor("blk.0.attn_q.weight", weights, raw_dtype=GGMLQuantizationType.Q4_0)
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    assert GGUFReader(tmp_path / "m.gguf").tensors
    with pytest.raises(BuildError, match=r"'blk\.0\.attn_q\.weight' is Q4_0"):
        linear_weights(tmp_path / "m.gguf")
