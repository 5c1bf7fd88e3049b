"""A folder given as an adapter, PEFT's or TensorRT-LLM's, made to fit a base model."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from serving.contract.errors import UnfitAdapter
from serving.lora import files, peft
from serving.lora.fit import LoraLimits, fitted
from serving.lora.shape import ModelShape
from serving.lora.weights import LoraTensors, decode, encode

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What adapters must fit; `name` is that of its BLS model."""

    name: str
    shape: ModelShape
    limits: LoraLimits


@dataclass(frozen=True, slots=True)
class Fitted:
    """An adapter as the engine takes it. `modules` have TensorRT-LLM's names."""

    tensors: LoraTensors
    rank: int
    modules: tuple[str, ...]
    sha256: str


def read_source(folder: Path, base: BaseModel) -> Fitted:
    """UnfitAdapter when it is neither kind of folder, or does not fit."""
    if (folder / peft.CONFIG).is_file():
        layers, names = peft.read(folder).layers, (peft.CONFIG, peft.WEIGHTS)
    elif (folder / files.WEIGHTS).is_file():
        layers, names = decode(files.load(folder), base.shape), (files.CONFIG, files.WEIGHTS)
    else:
        raise UnfitAdapter(
            f"'{folder}', on the machine that Triton runs on, has neither {peft.CONFIG} nor "
            f"{files.WEIGHTS}: it must be a PEFT folder or one of TensorRT-LLM's hf_lora_convert"
        )
    layers = fitted(layers, base.shape, base.limits)
    return Fitted(
        tensors=encode(layers),
        rank=max(layer.rank for layer in layers),
        modules=tuple(sorted({layer.module.engine_name for layer in layers})),
        sha256=_sha256([folder / name for name in names]),
    )


def _sha256(paths: list[Path]) -> str:
    """Over the files as `sha256sum` would read them one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    return digest.hexdigest()
