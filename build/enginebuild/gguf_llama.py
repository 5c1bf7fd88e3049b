"""Write a Llama-architecture checkpoint as a GGUF file that OpenVINO GenAI and llama.cpp read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize

FloatArray = npt.NDArray[np.float32]

_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True, slots=True)
class LlamaConfig:
    """Shape of a Llama decoder; the fields carry the names of Hugging Face's `LlamaConfig`."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


def tensor_shapes(config: LlamaConfig, *, tied: bool) -> dict[str, tuple[int, ...]]:
    """Every tensor of the checkpoint by its Hugging Face name, with its shape."""
    hidden, ffn = config.hidden_size, config.intermediate_size
    kv_size = config.num_key_value_heads * config.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (kv_size, hidden),
        "self_attn.v_proj": (kv_size, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config.vocab_size, hidden),
        "model.norm.weight": (hidden,),
    }
    if not tied:
        shapes["lm_head.weight"] = (config.vocab_size, hidden)
    for index in range(config.num_hidden_layers):
        shapes |= {f"model.layers.{index}.{name}.weight": s for name, s in layer.items()}
    return shapes


def write_llama(
    path: Path,
    config: LlamaConfig,
    tensors: Mapping[str, FloatArray],
    tokenizer: Path,
    *,
    eos_token: str,
    name: str,
    chat_template: str | None = None,
) -> None:
    """Write `tensors` (Hugging Face names, fp32; no `lm_head.weight` means tied) as Q8_0.

    `tokenizer` is a byte-level BPE `tokenizer.json`. Raises ValueError when a tensor is missing,
    unknown or of another shape, naming it.
    """
    _check(config, tensors)
    writer = GGUFWriter(path, "llama")
    _add_hyperparameters(writer, config, name)
    _add_tokenizer(writer, json.loads(tokenizer.read_text()), config.vocab_size, eos_token)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    for tensor_name, tensor in tensors.items():
        _add_tensor(writer, config, tensor_name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _check(config: LlamaConfig, tensors: Mapping[str, FloatArray]) -> None:
    expected = tensor_shapes(config, tied="lm_head.weight" not in tensors)
    if wrong := sorted(expected.keys() ^ tensors.keys()):
        raise ValueError(f"missing or unknown tensors: {', '.join(wrong)}")
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise ValueError(f"tensor '{name}' has shape {tensors[name].shape}, expected {shape}")


def _add_hyperparameters(writer: GGUFWriter, config: LlamaConfig, name: str) -> None:
    writer.add_name(name)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)


def _add_tokenizer(writer: GGUFWriter, spec: dict, vocab_size: int, eos_token: str) -> None:  # type: ignore[type-arg]
    vocab: dict[str, int] = dict(spec["model"]["vocab"])
    special = {token["content"]: token["id"] for token in spec["added_tokens"]}
    by_id = {index: token for token, index in (vocab | special).items()}
    tokens = [by_id.get(index, f"<|unused_{index}|>") for index in range(vocab_size)]
    types = [TokenType.CONTROL if t in special else TokenType.NORMAL for t in tokens]
    merges = [m if isinstance(m, str) else " ".join(m) for m in spec["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(special[eos_token])
    writer.add_bos_token_id(special[eos_token])
    writer.add_add_bos_token(False)


def _add_tensor(writer: GGUFWriter, config: LlamaConfig, name: str, tensor: FloatArray) -> None:
    data = np.ascontiguousarray(tensor, dtype=np.float32)
    if name.endswith("q_proj.weight"):
        data = _interleave_rotary_halves(data, config.num_attention_heads)
    elif name.endswith("k_proj.weight"):
        data = _interleave_rotary_halves(data, config.num_key_value_heads)
    if data.ndim == 1:
        writer.add_tensor(_gguf_name(name), data)
        return
    quantized = quantize(data, GGMLQuantizationType.Q8_0)
    writer.add_tensor(_gguf_name(name), quantized, raw_dtype=GGMLQuantizationType.Q8_0)


def _gguf_name(name: str) -> str:
    top = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in top:
        return top[name]
    _, _, index, rest = name.split(".", 3)
    return f"blk.{index}.{_LAYER_NAMES[rest.removesuffix('.weight')]}.weight"


def _interleave_rotary_halves(weight: FloatArray, n_heads: int) -> FloatArray:
    """Reorder rows from Hugging Face's half-rotation to the pairwise rotation GGUF's llama uses."""
    rows, columns = weight.shape
    halves = weight.reshape(n_heads, 2, rows // n_heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
