"""An adapter's tensors as `hf_lora_convert` leaves them: two .npy files with a leading 1."""

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract.errors import UnfitAdapter
from serving.lora.weights import LoraTensors

WEIGHTS = "model.lora_weights.npy"
CONFIG = "model.lora_config.npy"

# What NumPy lets through when the header of a file is nonsense.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    ArithmeticError,
    MemoryError,
    TokenError,
    RecursionError,
)


def load(folder: Path) -> LoraTensors:
    """The tensors, weights mapped from the file and not read yet; UnfitAdapter when malformed."""
    weights = _array(folder / WEIGHTS, np.float16)
    config = np.array(_array(folder / CONFIG, np.int32))
    if len(weights) != len(config):
        raise UnfitAdapter(
            f"'{folder}' has {len(weights)} rows of weights and {len(config)} of configuration"
        )
    return LoraTensors(weights, config)


def _array(path: Path, dtype: type[np.generic]) -> npt.NDArray[Any]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # type: ignore[no-untyped-call]
    except _UNREADABLE as error:
        raise UnfitAdapter(f"'{path}' cannot be read as .npy: {error}") from error
    if array.dtype != dtype:
        raise UnfitAdapter(f"'{path}' must be an array of {np.dtype(dtype)}")
    if array.ndim != len(("batch", "rows", "width")) or len(array) != 1:
        raise UnfitAdapter(f"'{path}' has shape {list(array.shape)}; it must be [1, rows, width]")
    rows: npt.NDArray[Any] = array[0]
    return rows


def save(folder: Path, tensors: LoraTensors) -> None:
    """Writes both files into the folder, which must exist; not atomic."""
    np.save(folder / WEIGHTS, tensors.weights[np.newaxis])
    np.save(folder / CONFIG, tensors.config[np.newaxis])
