"""Layers written as PEFT writes them, for PEFT itself and for OpenVINO GenAI."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serving.contract.errors import UnfitAdapter
from serving.lora.dora import RowNorms
from serving.lora.peft_names import MAGNITUDE, PREFIX, A, B, path_of, reordered
from serving.lora.tensor_file import rendered
from serving.lora.weights import FloatArray, LoraLayer, sole

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def safetensors(layers: Sequence[LoraLayer]) -> bytes:
    """The layers as a safetensors file with PEFT's names: what OpenVINO GenAI's Adapter reads.

    The scaling is in B and the file has no alpha, which that reader takes for a scale of 1.
    UnfitAdapter for DoRA, which it does not know.
    """
    placed = [reordered(layer) for layer in sole(layers).values()]
    for layer in placed:
        if layer.magnitude is not None:
            raise UnfitAdapter(f"{layer.name} is DoRA, which OpenVINO's adapters cannot carry")
    return rendered(_pairs(placed))


def write(
    folder: Path, layers: Sequence[LoraLayer], base: str, *, base_model: Path | None = None
) -> None:
    """Writes a PEFT folder that gives the same layers; a DoRA adapter needs `base_model` again."""
    placed = [reordered(layer) for layer in sole(layers).values()]
    tensors = _pairs(placed)
    is_dora = any(layer.magnitude is not None for layer in placed)
    if is_dora:
        tensors |= _magnitudes(placed, RowNorms(base_model))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(rendered(tensors))
    config = _config(placed, base) | {"use_dora": is_dora}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _pairs(layers: Iterable[LoraLayer]) -> dict[str, FloatArray]:
    return {
        f"{PREFIX}{path_of(layer)}.{kind}.weight": tensor
        for layer in layers
        for kind, tensor in ((A, layer.a), (B, layer.b))
    }


def _magnitudes(layers: Iterable[LoraLayer], norms: RowNorms) -> dict[str, FloatArray]:
    """PEFT's DoRA is for all modules or none; the norm itself as magnitude changes nothing."""
    ones = np.ones(1, dtype=np.float32)
    return {
        f"{PREFIX}{path_of(layer)}.{MAGNITUDE}": norms.of(layer, path_of(layer))
        * (ones if layer.magnitude is None else layer.magnitude)
        for layer in layers
    }


def _config(layers: Sequence[LoraLayer], base: str) -> dict[str, Any]:
    rank = max(layer.rank for layer in layers)
    others = {path_of(layer): layer.rank for layer in layers if layer.rank != rank}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
        "bias": "none",
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "rank_pattern": others,
        "alpha_pattern": others,
        "target_modules": [path_of(layer) for layer in layers],
    }
