"""Adapters for tests of a model so small that its numbers can be looked at."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from serving.lora.fit import LoraLimits
from serving.lora.modules import HF_NAMES, PARTS, SPLIT_MODULES, Module
from serving.lora.peft import CONFIG, WEIGHTS
from serving.lora.shape import ModelShape
from serving.lora.tensor_file import rendered
from serving.lora.weights import LoraLayer

DATA = Path(__file__).parent / "data"
SHAPE = ModelShape(layers=2, hidden=8, intermediate=12, heads=4, kv_heads=2, head_dim=2)
SPLIT = LoraLimits(max_rank=8, modules=SPLIT_MODULES)
FUSED = LoraLimits(max_rank=8, modules=frozenset(PARTS) | {Module.ATTN_DENSE, Module.MLP_4H_TO_H})


def make_layer(
    module: Module = Module.ATTN_Q,
    layer: int = 0,
    rank: int = 2,
    *,
    seed: int = 0,
    is_dora: bool = False,
) -> LoraLayer:
    """Its values are small and ones that float16 has."""
    random = np.random.default_rng([seed, module, layer])
    inputs, outputs = SHAPE.dims(module)

    def values(*shape: int) -> np.ndarray:
        return random.integers(-8, 9, shape).astype(np.float32) / 4

    magnitude = values(outputs) + 4 if is_dora else None
    return LoraLayer(module, layer, values(rank, inputs), values(outputs, rank), magnitude)


def delta(layer: LoraLayer) -> np.ndarray:
    return layer.b @ layer.a


def are_equal(one: tuple[LoraLayer, ...], other: tuple[LoraLayer, ...]) -> bool:
    return len(one) == len(other) and all(map(_is_equal, one, other))


def _is_equal(one: LoraLayer, other: LoraLayer) -> bool:
    if (one.module, one.layer) != (other.module, other.layer):
        return False
    pairs = ((one.a, other.a), (one.b, other.b), (one.magnitude, other.magnitude))
    return all((mine is None and its is None) or np.array_equal(mine, its) for mine, its in pairs)


def write_peft(
    folder: Path, tensors: dict[str, np.ndarray] | None = None, **config: object
) -> Path:
    """A PEFT folder of rank 2 on q_proj of layer 0, with what the caller changes."""
    path = "base_model.model.model.layers.0.self_attn.q_proj"
    layer = make_layer()
    usual = {f"{path}.lora_A.weight": layer.a, f"{path}.lora_B.weight": layer.b}
    folder.mkdir(exist_ok=True)
    (folder / WEIGHTS).write_bytes(rendered(usual if tensors is None else tensors))
    usual_config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "bias": "none"}
    (folder / CONFIG).write_text(json.dumps(usual_config | config))
    return folder


@st.composite
def adapters(draw: st.DrawFn, modules: frozenset[Module] = frozenset(HF_NAMES)) -> tuple:
    """Some modules of some layers, each with a rank of its own, sometimes DoRA."""
    places = st.tuples(st.sampled_from(sorted(modules)), st.integers(0, SHAPE.layers - 1))
    chosen = draw(st.lists(places, min_size=1, max_size=6, unique=True))
    is_dora = draw(st.booleans())
    return tuple(
        make_layer(
            module, layer, draw(st.integers(1, 3)), seed=draw(st.integers(0, 99)), is_dora=is_dora
        )
        for module, layer in sorted(chosen, key=lambda place: (place[1], place[0]))
    )


def without_dora(layers: tuple[LoraLayer, ...]) -> tuple[LoraLayer, ...]:
    return tuple(replace(layer, magnitude=None) for layer in layers)
