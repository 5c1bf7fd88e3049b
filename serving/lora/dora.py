"""DoRA's magnitudes, relative to the rows they scale: the base model's weights are needed."""

from pathlib import Path

import numpy as np

from serving.contract.errors import UnfitAdapter
from serving.lora.tensor_file import TensorFile
from serving.lora.weights import FloatArray, LoraLayer


class RowNorms:
    """Norms of the rows of W + b @ a, with W from a Hugging Face checkpoint's safetensors files."""

    def __init__(self, base_model: Path | None, *, is_transposed: bool = False) -> None:
        if base_model is None:
            raise UnfitAdapter(
                "a DoRA adapter needs the norms of its base model's weights: "
                "give the folder of the base's Hugging Face checkpoint"
            )
        self._is_transposed = is_transposed
        self._folder = base_model
        self._files = {
            name: file
            for path in sorted(base_model.glob("*.safetensors"))
            for file in [TensorFile(path)]
            for name in file.names
        }

    def of(self, layer: LoraLayer, path: str) -> FloatArray:
        """`path` is the module's in the base model; rows are in the order of `layer.b`."""
        file = self._files.get(f"{path}.weight")
        if file is None:
            raise UnfitAdapter(f"the base model in '{self._folder}' has no '{path}.weight'")
        stored = file.read(f"{path}.weight")
        weight = stored.T if self._is_transposed else stored
        if weight.shape != (len(layer.b), layer.a.shape[1]):
            raise UnfitAdapter(
                f"{layer.name} is for a weight of {[len(layer.b), layer.a.shape[1]]}; "
                f"'{path}' of the base model is {list(weight.shape)}"
            )
        norms: FloatArray = np.linalg.norm(weight + layer.b @ layer.a, axis=1)
        return norms
