"""Whether an adapter fits an engine, and the rearrangement that makes a fused one fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.contract.errors import UnfitAdapter
from serving.lora.fused import fuse, split
from serving.lora.modules import HF_NAMES, PARTS, Module
from serving.lora.shape import ModelShape
from serving.lora.weights import LoraLayer, sole


@dataclass(frozen=True, slots=True)
class LoraLimits:
    """What an engine takes, as it was built: `--max_lora_rank`, `--lora_target_modules`, DoRA."""

    max_rank: int
    modules: frozenset[Module]
    can_dora: bool = False


def check(layers: Sequence[LoraLayer], shape: ModelShape, limits: LoraLimits) -> None:
    """UnfitAdapter, naming the module, unless the engine can take every layer as it is."""
    for layer in sole(layers).values():
        _check_place(layer, shape, limits)
        _check_arrays(layer, shape)
        if layer.rank > limits.max_rank:
            raise UnfitAdapter(
                f"{layer.name} has rank {layer.rank}; the engine takes up to {limits.max_rank}"
            )
        if layer.magnitude is not None and not limits.can_dora:
            raise UnfitAdapter(f"{layer.name} is DoRA, which the engine does not take")


def _check_place(layer: LoraLayer, shape: ModelShape, limits: LoraLimits) -> None:
    if layer.module not in limits.modules or layer.module not in HF_NAMES:
        taken = ", ".join(sorted(module.engine_name for module in limits.modules)) or "none"
        raise UnfitAdapter(
            f"{layer.name} is module {layer.module.engine_name}; the engine takes {taken}"
        )
    if not 0 <= layer.layer < shape.layers:
        raise UnfitAdapter(f"{layer.name} is not in the model, which has {shape.layers} layers")


def _check_arrays(layer: LoraLayer, shape: ModelShape) -> None:
    inputs, outputs = shape.dims(layer.module)
    a, b = (layer.rank, inputs), (outputs, layer.rank)
    magnitude = (outputs,) if layer.magnitude is None else layer.magnitude.shape
    if (layer.a.shape, layer.b.shape, magnitude) != (a, b, (outputs,)) or layer.rank < 1:
        raise UnfitAdapter(
            f"{layer.name} has A {list(layer.a.shape)} and B {list(layer.b.shape)}; the base model "
            f"needs {list(a)} and {list(b)}: the adapter was made for another one"
        )


def fitted(
    layers: Sequence[LoraLayer], shape: ModelShape, limits: LoraLimits
) -> tuple[LoraLayer, ...]:
    """The same adapter in the modules the engine has: fused ones split, split ones fused; checked.

    Exact: no value is rounded or dropped, only ranks may grow when parts are fused.
    """
    fitting = tuple(layers)
    for whole, parts in PARTS.items():
        if whole not in limits.modules and limits.modules.issuperset(parts):
            fitting = split(fitting, whole, shape)
        elif whole in limits.modules and limits.modules.isdisjoint(parts):
            fitting = fuse(fitting, whole, shape)
    check(fitting, shape, limits)
    return tuple(sole(fitting).values())
