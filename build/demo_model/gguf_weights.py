"""The weights of a GGUF file that `export.py` wrote, by Hugging Face's names; no torch here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGUFReader
from gguf.quants import dequantize

TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
PARTS = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
SIZES = {
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "rope.dimension_count": "head_dim",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
}
FloatArray = npt.NDArray[np.float32]


def hugging_face_name(gguf_name: str) -> str:
    """The parameter that a tensor of the file holds, as Hugging Face calls it."""
    stem = gguf_name.removesuffix(".weight")
    if stem in TOP:
        return f"{TOP[stem]}.weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{PARTS[part]}.weight"


def halves_apart(weight: FloatArray, heads: int) -> FloatArray:
    """Rows from GGUF's pairwise rotation back to the two halves that the model rotates."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, columns))


def sizes(reader: GGUFReader) -> dict[str, int]:
    """The shape that the file states, by Hugging Face's names."""
    found: dict[str, int] = {}
    for theirs, ours in SIZES.items():
        field = reader.get_field(f"llama.{theirs}")
        if field is None:
            raise ValueError(f"the GGUF file lacks 'llama.{theirs}'")
        found[ours] = int(field.contents())
    return found


def read(path: Path) -> tuple[dict[str, int], dict[str, FloatArray]]:
    """The sizes and the weights, dequantised to float32."""
    reader = GGUFReader(path)
    shape = sizes(reader)
    heads = {"q_proj": shape["num_attention_heads"], "k_proj": shape["num_key_value_heads"]}
    weights: dict[str, FloatArray] = {}
    for tensor in reader.tensors:
        name = hugging_face_name(tensor.name)
        weight = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        part = name.removesuffix(".weight").rpartition(".")[2]
        weights[name] = halves_apart(weight, heads[part]) if part in heads else weight
    return shape, weights
