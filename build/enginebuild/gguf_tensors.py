"""The weights of a GGUF file as OpenVINO's reader lays them out, told apart by their bytes."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFReader

from enginebuild.errors import BuildError

# Both after `blk.<layer>.`; the values are the modules of a Hugging Face Llama or Qwen.
MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LINEAR = re.compile(rf"blk\.(\d+)\.({'|'.join(MODULES)})\.weight")
_Q8_0_ROW = 34  # bytes of 32 weights: a float16 scale, then 32 int8
Q8_0, F16, F32 = GGMLQuantizationType.Q8_0, GGMLQuantizationType.F16, GGMLQuantizationType.F32


def linear_weights(source: Path) -> dict[str, str]:
    """The Hugging Face module of each linear layer by the fingerprint of its weights.

    Raises BuildError for a kind of weights that is not known here, and for two layers that are the
    same: they could not be told apart.
    """
    reader = GGUFReader(source)
    heads = _heads(reader)
    found: dict[str, str] = {}
    for tensor in reader.tensors:
        if (match := _LINEAR.fullmatch(tensor.name)) is None:
            continue
        module = f"model.layers.{match[1]}.{MODULES[match[2]]}"
        mark = fingerprint(_weights(tensor, heads.get(match[2])))
        if mark in found:
            raise BuildError(f"'{source}': {module} and {found[mark]} have the same weights")
        found[mark] = module
    if not found:
        raise BuildError(f"'{source}' has no linear layers of a Llama or Qwen model")
    return found


def fingerprint(weights: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(weights).tobytes()).hexdigest()


def _heads(reader: GGUFReader) -> dict[str, int]:
    """Heads whose rows a llama file has interleaved; other families keep Hugging Face's order."""
    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        return {}
    heads = _field(reader, "llama.attention.head_count")
    field = reader.get_field("llama.attention.head_count_kv")
    return {"attn_q": heads, "attn_k": heads if field is None else field.contents()}


def _field(reader: GGUFReader, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise BuildError(f"no field '{name}' in the GGUF file")
    return field.contents()


def _weights(tensor: Any, heads: int | None) -> npt.NDArray[Any]:
    rows = int(tensor.shape[1])
    if tensor.tensor_type == Q8_0:
        blocks = np.asarray(tensor.data).reshape(-1, _Q8_0_ROW)[:, 2:].view(np.int8)
        weights = (blocks.astype(np.int16) + 128).astype(np.uint8).reshape(rows, -1)
    elif tensor.tensor_type in (F16, F32):
        weights = np.asarray(tensor.data).reshape(rows, -1)
    else:
        raise BuildError(
            f"'{tensor.name}' is {tensor.tensor_type.name}; files of Q8_0, F16 and F32 weights can "
            "be converted. Without [lora] the file is served as it is"
        )
    return weights if heads is None else np.concatenate(list(_halves(weights, heads)))


def _halves(weights: npt.NDArray[Any], heads: int) -> Iterator[npt.NDArray[Any]]:
    """Each head's rows in the order of Hugging Face's rotation: even ones first, then odd ones."""
    for head in np.split(weights, heads):
        yield head[0::2]
        yield head[1::2]
