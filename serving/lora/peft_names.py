"""PEFT's names of tensors and order of rows, against modules, layers and TensorRT-LLM's order."""

import re
from dataclasses import replace

import numpy as np

from serving.contract.errors import UnfitAdapter
from serving.lora.modules import HF_NAMES, Module, module_of
from serving.lora.weights import LoraLayer

PREFIX = "base_model.model."
A, B, MAGNITUDE = "lora_A", "lora_B", "lora_magnitude_vector"

_TENSOR = re.compile(
    rf"(?:base_model\.model\.)?(?P<path>.+)\.(?P<kind>{A}|{B}|{MAGNITUDE})(?:\.weight)?"
)
_PATH = re.compile(
    r"(?:model|transformer|model\.language_model|language_model\.model)"
    r"\.(?:layers|h)\.(?P<layer>\d{1,5})\.(?P<name>[\w.]+)"
)


def parts_of(tensor: str) -> tuple[str, str]:
    """Where the module is in the base model, and which tensor of it this is."""
    match = _TENSOR.fullmatch(tensor)
    if match is None:
        raise UnfitAdapter(f"tensor '{tensor}' of the adapter has no place among LoRA tensors")
    return match["path"], match["kind"]


def place_of(path: str) -> tuple[Module, int]:
    """The module and the number of the layer."""
    match = _PATH.fullmatch(path)
    module = module_of(match["name"]) if match else None
    if match is None or module is None:
        raise UnfitAdapter(
            f"the adapter changes '{path}', which has no place in the engine; "
            f"the layers' {', '.join(HF_NAMES.values())} have"
        )
    return module, int(match["layer"])


def path_of(layer: LoraLayer) -> str:
    """In a base model of Llama's names."""
    if layer.module not in HF_NAMES:
        raise UnfitAdapter(f"{layer.name} has no name in a Hugging Face model")
    return f"model.layers.{layer.layer}.{HF_NAMES[layer.module]}"


def reordered(layer: LoraLayer) -> LoraLayer:
    """Between Hugging Face's order of gate_up's rows and TensorRT-LLM's; its own inverse."""
    if layer.module != Module.MLP_GATE_UP:
        return layer
    half, magnitude = len(layer.b) // 2, layer.magnitude
    return replace(
        layer,
        b=np.roll(layer.b, half, axis=0),
        magnitude=None if magnitude is None else np.roll(magnitude, half),
    )
