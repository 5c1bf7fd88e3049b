"""The files of a Hugging Face folder out of what a GGUF file says: config, tokenizer, template."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader

from enginebuild.errors import BuildError
from serving.text import model_files
from serving.text.gguf_tokenizer import tokenizer_from_gguf
from serving.text.model_files import gguf_field

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}


def write_files(source: Path, folder: Path) -> None:
    """Raises BuildError or ValueError for an architecture or a tokenizer that is not known here."""
    _write_json(folder / "config.json", config(source))
    _write_json(
        folder / "generation_config.json", {"eos_token_id": list(model_files.end_ids(source))}
    )
    _write_json(folder / "tokenizer_config.json", model_files.special_tokens(source))
    given = source.parent / "tokenizer.json"
    text = given.read_text() if given.exists() else tokenizer_from_gguf(source).to_str(pretty=True)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    template = model_files.chat_template(source)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def config(source: Path) -> dict[str, Any]:
    """`config.json` as far as a GGUF file tells it: the shape of the model and its context."""
    kind = gguf_field(source, "general.architecture")
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise BuildError(f"'{source}' is of the architecture '{kind}'; known here are {known}")
    heads = gguf_field(source, f"{kind}.attention.head_count")
    hidden = gguf_field(source, f"{kind}.embedding_length")
    return {
        "architectures": [ARCHITECTURES[kind]],
        "eos_token_id": model_files.end_ids(source)[0],
        "head_dim": gguf_field(source, f"{kind}.attention.key_length", hidden // heads),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": gguf_field(source, f"{kind}.feed_forward_length"),
        "max_position_embeddings": gguf_field(source, f"{kind}.context_length"),
        "model_type": kind,
        "num_attention_heads": heads,
        "num_hidden_layers": gguf_field(source, f"{kind}.block_count"),
        "num_key_value_heads": gguf_field(source, f"{kind}.attention.head_count_kv", heads),
        "rms_norm_eps": _short(gguf_field(source, f"{kind}.attention.layer_norm_rms_epsilon")),
        "rope_theta": _short(gguf_field(source, f"{kind}.rope.freq_base", 10000.0)),
        "tie_word_embeddings": not _has_tensor(source, "output.weight"),
        "vocab_size": model_files.vocab_size(source),
    }


def _has_tensor(source: Path, name: str) -> bool:
    return any(tensor.name == name for tensor in GGUFReader(source).tensors)


def _short(value: float) -> float:
    """A float32 as people write it: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
