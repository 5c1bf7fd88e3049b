"""The adapter of an engine request out of its tensors; pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from serving.contract.errors import InvalidRequest
from serving.lora.weights import LoraTensors

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """The adapter of a request; `tensors` only where the client sent them."""

    task_id: int
    tensors: LoraTensors | None = None


def read_lora(row: Arrays) -> Lora | None:
    """Checked as TensorRT-LLM does, and refused in its words; nobody looks at the values here."""
    weights, config = _given(row, "lora_weights"), _given(row, "lora_config")
    if _given(row, "lora_task_id") is None:
        if weights is None and config is None:
            return None
        raise InvalidRequest("lora_task_id must be set for LoRA inference", param="lora_task_id")
    task_id = int(row["lora_task_id"].flat[0])
    if weights is None and config is None:
        return Lora(task_id)
    if weights is None or config is None:
        raise InvalidRequest(
            "Request for LoRA inference must have both lora_weights and lora_keys",
            param="lora_config" if config is None else "lora_weights",
        )
    if weights.ndim != 2:
        raise InvalidRequest("Invalid shape for lora_weights tensor", param="lora_weights")
    if config.ndim != 2 or config.shape[1] not in (3, 4):
        raise InvalidRequest("Invalid shape for lora_keys tensor", param="lora_config")
    return Lora(task_id, LoraTensors(weights.copy(), config.copy()))


def _given(row: Arrays, name: str) -> Array | None:
    array = row.get(name)
    return None if array is None or array.size == 0 else array
