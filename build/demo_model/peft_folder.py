"""An adapter as PEFT keeps it: `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

ADAPTERS = Path(__file__).parent / "adapters"
BASE = "conch/demo"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def write(
    out: Path, tensors: Mapping[str, Tensor], *, rank: int, alpha: int, modules: Sequence[str]
) -> None:
    """Write the folder; the weights are kept as float16, as an engine reads them."""
    out.mkdir(parents=True, exist_ok=True)
    config = {
        "base_model_name_or_path": BASE,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted(modules),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    (out / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in tensors.items()}
    (out / WEIGHTS).write_bytes(save(halves, metadata={"format": "pt"}))


def read(folder: Path) -> tuple[dict[str, Tensor], float]:
    """The weights in float32 by PEFT's names, and what their product is multiplied by."""
    config = json.loads((folder / CONFIG).read_text())
    tensors = load_file(folder / WEIGHTS)
    scale = config["lora_alpha"] / config["r"]
    return {name: tensor.float() for name, tensor in tensors.items()}, scale
