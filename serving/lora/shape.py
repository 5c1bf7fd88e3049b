"""The sizes of a model that its adapters must match."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.lora.modules import PARTS, Module


@dataclass(frozen=True, slots=True)
class ModelShape:
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int

    def dims(self, module: Module) -> tuple[int, int]:
        """Inputs and outputs of the module, of the whole model (not of one tensor-parallel rank).

        KeyError for a module that a dense decoder does not have. TensorRT-LLM's own table has
        `hidden` inputs for ATTN_DENSE, which is the same only where heads * head_dim == hidden.
        """
        if module in PARTS:
            return self.hidden, sum(self.dims(part)[1] for part in PARTS[module])
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            Module.ATTN_Q: (self.hidden, query),
            Module.ATTN_K: (self.hidden, key),
            Module.ATTN_V: (self.hidden, key),
            Module.ATTN_DENSE: (query, self.hidden),
            Module.MLP_H_TO_4H: (self.hidden, self.intermediate),
            Module.MLP_GATE: (self.hidden, self.intermediate),
            Module.MLP_4H_TO_H: (self.intermediate, self.hidden),
        }[module]


def shape_of(model_folder: Path) -> ModelShape:
    """From `config.json`: Hugging Face's (GPT-2's names too) or that of a TensorRT-LLM engine."""
    path = model_folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return _shape(config.get("pretrained_config") or config.get("text_config") or config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"'{path}' does not tell the model's shape: {error!r}") from error


def _shape(config: dict[str, Any]) -> ModelShape:
    hidden = _size(config, "hidden_size", "n_embd")
    heads = _size(config, "num_attention_heads", "n_head")
    return ModelShape(
        layers=_size(config, "num_hidden_layers", "n_layer"),
        hidden=hidden,
        intermediate=_size(config, "intermediate_size", "n_inner", default=4 * hidden),
        heads=heads,
        kv_heads=_size(config, "num_key_value_heads", default=heads),
        head_dim=_size(config, "head_dim", "head_size", default=hidden // heads),
    )


def _size(config: dict[str, Any], *names: str, default: int | None = None) -> int:
    for name in names:
        if config.get(name) is not None:
            return int(config[name])
    if default is None:
        raise KeyError(names[0])
    return default
