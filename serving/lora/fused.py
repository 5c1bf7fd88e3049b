"""One adapter of a fused module as adapters of its parts, and the other way round; both exact."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

import numpy as np

from serving.contract.errors import UnfitAdapter
from serving.lora.modules import PARTS, Module
from serving.lora.shape import ModelShape
from serving.lora.weights import FloatArray, LoraLayer


def split(layers: Iterable[LoraLayer], whole: Module, shape: ModelShape) -> tuple[LoraLayer, ...]:
    """The parts share A and have their rows of B; other modules stay as they are."""
    return tuple(
        part
        for layer in layers
        for part in (_parts(layer, shape) if layer.module == whole else (layer,))
    )


def _parts(layer: LoraLayer, shape: ModelShape) -> Iterable[LoraLayer]:
    if len(layer.b) != shape.dims(layer.module)[1]:
        raise UnfitAdapter(
            f"{layer.name} has {len(layer.b)} output rows; "
            f"the base model has {shape.dims(layer.module)[1]}"
        )
    for part, rows in _rows(layer.module, shape).items():
        magnitude = None if layer.magnitude is None else layer.magnitude[rows]
        yield replace(layer, module=part, b=layer.b[rows], magnitude=magnitude)


def _rows(whole: Module, shape: ModelShape) -> dict[Module, slice]:
    ends = list(accumulate(shape.dims(part)[1] for part in PARTS[whole]))
    return {
        part: slice(start, end)
        for part, start, end in zip(PARTS[whole], [0, *ends], ends, strict=False)
    }


def fuse(layers: Sequence[LoraLayer], whole: Module, shape: ModelShape) -> tuple[LoraLayer, ...]:
    """Parts that share A keep their rank; others are stacked: A below A, B in blocks.

    A part that the adapter leaves alone has zeros in B and, with DoRA, a magnitude of 1.
    """
    parts = [layer for layer in layers if layer.module in PARTS[whole]]
    others = [layer for layer in layers if layer.module not in PARTS[whole]]
    numbers = sorted({layer.layer for layer in parts})
    return (
        *others,
        *(_whole([p for p in parts if p.layer == n], whole, shape) for n in numbers),
    )


def _whole(parts: Sequence[LoraLayer], whole: Module, shape: ModelShape) -> LoraLayer:
    for part in parts:
        if (part.a.shape[1], len(part.b)) != shape.dims(part.module):
            raise UnfitAdapter(f"{part.name} does not have the shape of the base model's module")
    rows = _rows(whole, shape)
    columns = _columns(parts)
    outputs = shape.dims(whole)[1]
    b = np.zeros((outputs, max(column.stop for column in columns)), dtype=np.float32)
    for part, column in zip(parts, columns, strict=True):
        b[rows[part.module], column] = part.b
    is_shared = columns[0] == columns[-1]
    a = parts[0].a if is_shared else np.concatenate([part.a for part in parts])
    return LoraLayer(whole, parts[0].layer, a, b, _magnitude(parts, rows, outputs))


def _columns(parts: Sequence[LoraLayer]) -> list[slice]:
    """Where in B each part's columns go: all in one place when they share A."""
    if all(np.array_equal(part.a, parts[0].a) for part in parts):
        return [slice(0, parts[0].rank)] * len(parts)
    ends = list(accumulate(part.rank for part in parts))
    return [slice(end - part.rank, end) for part, end in zip(parts, ends, strict=True)]


def _magnitude(
    parts: Sequence[LoraLayer], rows: dict[Module, slice], outputs: int
) -> FloatArray | None:
    if all(part.magnitude is None for part in parts):
        return None
    magnitude = np.ones(outputs, dtype=np.float32)
    for part in parts:
        if part.magnitude is not None:
            magnitude[rows[part.module]] = part.magnitude
    return magnitude
