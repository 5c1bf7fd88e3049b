"""TensorRT-LLM's LoRA tensors: one padded float16 row a module and layer, and what each row is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from serving.contract.errors import UnfitAdapter
from serving.lora.modules import HF_NAMES, Module
from serving.lora.shape import ModelShape

Columns = Literal[3, 4]
FloatArray = npt.NDArray[np.float32]

_PLAIN_COLUMNS, _DORA_COLUMNS = 3, 4
_FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True, slots=True, eq=False)
class LoraLayer:
    """What an adapter adds to one module of one layer: W' = magnitude · (W + b @ a), rows scaled.

    `a` is [rank, in], `b` [out, rank] with the scaling folded in. `magnitude` [out] is DoRA's,
    divided by the norms of the rows of W + b @ a, as TensorRT-LLM wants it; None: no DoRA.
    The rows of a fused module are in TensorRT-LLM's order (see `modules.PARTS`).
    """

    module: Module
    layer: int
    a: FloatArray
    b: FloatArray
    magnitude: FloatArray | None = None

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])

    @property
    def name(self) -> str:
        """For messages: as Hugging Face spells it."""
        return f"layers.{self.layer}.{HF_NAMES.get(self.module, self.module.engine_name)}"


@dataclass(frozen=True, slots=True, eq=False)
class LoraTensors:
    """The inputs `lora_weights` [rows, width] and `lora_config` [rows, 3|4] of one request.

    A row of weights is a, then b, then DoRA's magnitude, each row-major, then zeros. A row of the
    config is module id, layer, rank and, when there are four columns, whether it is DoRA.
    """

    weights: npt.NDArray[np.float16]
    config: npt.NDArray[np.int32]


def encode(layers: Sequence[LoraLayer], *, columns: Columns | None = None) -> LoraTensors:
    """The tensors of the layers, rows in order of layer and module.

    There is a fourth column exactly when a row is DoRA, because configurations made before DoRA
    take three only; `columns` forces one form. UnfitAdapter when float16 or three columns cannot
    hold it.
    """
    placed = sole(layers).values()
    has_dora = any(layer.magnitude is not None for layer in placed)
    if has_dora and columns == _PLAIN_COLUMNS:
        raise UnfitAdapter("a DoRA adapter needs lora_config with 4 columns; this engine takes 3")
    rows = [_row(layer) for layer in placed]
    weights = np.zeros((len(rows), max(map(len, rows))), dtype=np.float16)
    for line, row in zip(weights, rows, strict=True):
        line[: len(row)] = row
    config = [
        (layer.module, layer.layer, layer.rank, layer.magnitude is not None) for layer in placed
    ]
    width = columns or (_DORA_COLUMNS if has_dora else _PLAIN_COLUMNS)
    return LoraTensors(weights, np.array(config, dtype=np.int32)[:, :width])


def _row(layer: LoraLayer) -> npt.NDArray[np.float16]:
    parts = [part for part in (layer.a, layer.b, layer.magnitude) if part is not None]
    row: FloatArray = np.concatenate([part.ravel() for part in parts])
    if not np.isfinite(row).all():
        raise UnfitAdapter(f"{layer.name} has values that are not finite")
    if (peak := float(np.abs(row).max(initial=0))) > _FLOAT16_MAX:
        raise UnfitAdapter(
            f"{layer.name} has a value of {peak:g}, scaling included; float16 ends at 65504"
        )
    half: npt.NDArray[np.float16] = row.astype(np.float16)
    return half


def decode(tensors: LoraTensors, shape: ModelShape) -> tuple[LoraLayer, ...]:
    """The layers of tensors made for a model of that shape; UnfitAdapter when they were not."""
    _check_form(tensors)
    return tuple(
        sole(
            [
                _layer(weights, [int(value) for value in config], shape)
                for weights, config in zip(tensors.weights, tensors.config, strict=True)
            ]
        ).values()
    )


def _check_form(tensors: LoraTensors) -> None:
    weights, config = tensors.weights, tensors.config
    if weights.dtype != np.float16 or config.dtype != np.int32:
        raise UnfitAdapter(
            f"lora_weights is {weights.dtype} and lora_config {config.dtype}; "
            "they must be float16 and int32"
        )
    is_paired = weights.ndim == config.ndim == 2 and len(weights) == len(config)
    if not is_paired or config.shape[1] not in (_PLAIN_COLUMNS, _DORA_COLUMNS):
        raise UnfitAdapter(
            f"lora_weights is {list(weights.shape)} and lora_config {list(config.shape)}; "
            "they must be [rows, width] and [rows, 3 or 4]"
        )


def _layer(weights: npt.NDArray[np.float16], config: list[int], shape: ModelShape) -> LoraLayer:
    module, (layer, rank) = _known(config[0]), config[1:_PLAIN_COLUMNS]
    where = f"layers.{layer}.{HF_NAMES[module]}"
    if not 0 <= layer < shape.layers:
        raise UnfitAdapter(f"{where} is not in the model, which has {shape.layers} layers")
    if rank < 1 or config[_PLAIN_COLUMNS:] not in ([], [0], [1]):
        raise UnfitAdapter(f"{where} has the lora_config row {config}; rank and is_dora are wrong")
    inputs, outputs = shape.dims(module)
    is_dora = config[_PLAIN_COLUMNS:] == [1]
    ends = np.cumsum([rank * inputs, rank * outputs, outputs if is_dora else 0])
    values = weights[: ends[-1]].astype(np.float32)
    if len(values) < ends[-1] or weights[ends[-1] :].any():
        raise UnfitAdapter(
            f"{where} of rank {rank} must have {ends[-1]} values and then zeros; "
            "it was made for a model of another shape"
        )
    if not np.isfinite(values).all():
        raise UnfitAdapter(f"{where} has values that are not finite")
    a, b, magnitude, _ = np.split(values, ends)
    return LoraLayer(
        module,
        layer,
        a.reshape(rank, inputs),
        b.reshape(outputs, rank),
        magnitude if is_dora else None,
    )


def _known(number: int) -> Module:
    known = {module.value: module for module in HF_NAMES}
    if number not in known:
        raise UnfitAdapter(
            f"lora_config names module {number}; a dense decoder has {sorted(known)} only"
        )
    return known[number]


def sole(layers: Sequence[LoraLayer]) -> dict[tuple[int, Module], LoraLayer]:
    """By layer and module, in that order; UnfitAdapter when there are none or two for one."""
    placed: dict[tuple[int, Module], LoraLayer] = {}
    for layer in sorted(layers, key=lambda each: (each.layer, each.module)):
        if (layer.layer, layer.module) in placed:
            raise UnfitAdapter(f"the adapter has {layer.name} twice; keep one")
        placed[layer.layer, layer.module] = layer
    if not placed:
        raise UnfitAdapter("the adapter has no LoRA tensors at all")
    return placed
