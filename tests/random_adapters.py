"""LoRA adapters for the demo model made of nothing but a seed, strong enough to change answers."""

from pathlib import Path

import numpy as np

from serving.lora.modules import SPLIT_MODULES, Module
from serving.lora.shape import shape_of
from serving.lora.weights import LoraLayer, LoraTensors, encode

DEMO_MODEL = Path(__file__).parents[1] / "model_repository" / "demo_engine" / "1" / "model"
SHAPE = shape_of(DEMO_MODEL)


def layers(
    seed: int, *, rank: int = 8, strength: float = 0.2, modules: frozenset[Module] = SPLIT_MODULES
) -> list[LoraLayer]:
    """Every module of every layer, evenly distributed values up to `strength`."""
    bits = np.random.PCG64(seed)  # whose raw output is the same in every version of NumPy

    def values(*shape: int) -> np.ndarray:
        even = bits.random_raw(int(np.prod(shape))).reshape(shape) / 2.0**63 - 1.0
        # As float16 holds them: the same numbers whichever way the adapter travels.
        return (even * strength).astype(np.float16).astype(np.float32)

    return [
        LoraLayer(module, layer, values(rank, inputs), values(outputs, rank))
        for layer in range(SHAPE.layers)
        for module in sorted(modules)
        for inputs, outputs in [SHAPE.dims(module)]
    ]


def tensors(seed: int, **options) -> LoraTensors:
    return encode(layers(seed, **options))
