"""PEFT's adapter folders, read into layers and written again; what cannot be carried is refused."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from serving.contract.errors import UnfitAdapter
from serving.lora.dora import RowNorms
from serving.lora.peft_config import PeftConfig, read_config
from serving.lora.peft_names import MAGNITUDE, A, B, parts_of, place_of, reordered
from serving.lora.peft_writing import CONFIG, WEIGHTS, safetensors, write
from serving.lora.tensor_file import TensorFile
from serving.lora.weights import FloatArray, LoraLayer, sole

__all__ = ["CONFIG", "WEIGHTS", "PeftAdapter", "read", "safetensors", "write"]

_PICKLED = "adapter_model.bin"
Tensors = dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class PeftAdapter:
    """`base` is `base_model_name_or_path` as the adapter gives it, "" when it does not."""

    base: str
    layers: tuple[LoraLayer, ...]


def read(folder: Path, *, base_model: Path | None = None) -> PeftAdapter:
    """The adapter in the folder; UnfitAdapter, by name, for what it holds and LoRA tensors cannot.

    DoRA's magnitudes are divided by norms of the base model's weights, so a DoRA adapter needs
    `base_model`: the folder of the base's Hugging Face checkpoint (safetensors).
    """
    config = read_config(folder / CONFIG)
    modules = _modules(_file(folder), is_dora=config.is_dora)
    norms = RowNorms(base_model, is_transposed=config.is_transposed) if config.is_dora else None
    layers = [_layer(path, tensors, config, norms) for path, tensors in modules.items()]
    _check_layers(layers, config)
    return PeftAdapter(config.base, tuple(sole(layers).values()))


def _file(folder: Path) -> TensorFile:
    if not (folder / WEIGHTS).exists() and (folder / _PICKLED).exists():
        raise UnfitAdapter(
            f"'{folder}' has {_PICKLED}, a pickle, which can run code when it is read; "
            "save the adapter as safetensors"
        )
    return TensorFile(folder / WEIGHTS)


def _modules(file: TensorFile, *, is_dora: bool) -> dict[str, Tensors]:
    """The tensors of each module, by its path in the base model."""
    modules: dict[str, Tensors] = defaultdict(dict)
    for name in file.names:
        path, kind = parts_of(name)
        if kind in modules[path]:
            raise UnfitAdapter(f"{kind} of '{path}' is in the adapter under two names")
        modules[path][kind] = file.read(name)
    for path, tensors in modules.items():
        place_of(path)
        _check_whole(path, tensors, is_dora=is_dora)
    return modules


def _check_whole(path: str, tensors: Mapping[str, FloatArray], *, is_dora: bool) -> None:
    wanted = [A, B, MAGNITUDE] if is_dora else [A, B]
    if sorted(tensors) != wanted:
        raise UnfitAdapter(
            f"'{path}' has {', '.join(sorted(tensors))}; it must have {', '.join(wanted)}"
        )
    for kind, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise UnfitAdapter(f"{kind} of '{path}' has values that are not finite")


def _layer(path: str, tensors: Tensors, config: PeftConfig, norms: RowNorms | None) -> LoraLayer:
    module, number = place_of(path)
    a, b = tensors[A], tensors[B]
    _check_rank(path, a, b, config.rank_of(path))
    with np.errstate(over="ignore"):
        scaled = b * np.float32(config.scaling_of(path))
    if not np.isfinite(scaled).all():
        raise UnfitAdapter(f"{B} of '{path}' is beyond float32 once it is scaled")
    layer = LoraLayer(module, number, a, scaled)
    if norms is not None:
        relative = _relative(path, tensors[MAGNITUDE], norms.of(layer, path))
        layer = replace(layer, magnitude=relative)
    return reordered(layer)


def _check_rank(path: str, a: FloatArray, b: FloatArray, rank: int) -> None:
    is_matrix = len(a.shape) == len(b.shape) == len(("rows", "columns"))
    if not is_matrix or not a.shape[0] == b.shape[1] == rank:
        raise UnfitAdapter(
            f"'{path}' has A {list(a.shape)} and B {list(b.shape)}; "
            f"its configuration asks for rank {rank}: [{rank}, in] and [out, {rank}]"
        )


def _relative(path: str, magnitude: FloatArray, norms: FloatArray) -> FloatArray:
    if magnitude.size != norms.size:
        raise UnfitAdapter(
            f"{MAGNITUDE} of '{path}' is {list(magnitude.shape)}; it must be {list(norms.shape)}"
        )
    if not norms.all():
        raise UnfitAdapter(f"'{path}' has a row of zeros in the base model: DoRA cannot scale it")
    return magnitude.reshape(norms.shape) / norms


def _check_layers(layers: Sequence[LoraLayer], config: PeftConfig) -> None:
    present = {layer.layer for layer in layers}
    if config.layers is not None and present != config.layers:
        raise UnfitAdapter(
            f"layers_to_transform of the adapter says {sorted(config.layers)}; "
            f"it has tensors of {sorted(present)}"
        )
