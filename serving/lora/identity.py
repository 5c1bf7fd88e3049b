"""The number an adapter has in every engine's LoRA cache: from its content, so equal everywhere."""

import hashlib
import struct

import numpy as np

from serving.lora.weights import LoraTensors

_FORM = b"conch-lora-1\0"
_DORA_COLUMN = 3


def task_id(base: str, tensors: LoraTensors) -> int:
    """First 63 bits of SHA-256 over base, config and weights, as `lora_task_id`; never 0.

    Canonical: the order of rows, the width of the padding and a fourth column of zeros say nothing
    about what an adapter does and do not change its number. 63 bits fit the signed integers of
    JSON readers and databases.
    """
    config = np.zeros((len(tensors.config), _DORA_COLUMN + 1), dtype="<i4")
    config[:, : tensors.config.shape[1]] = tensors.config
    order = np.lexsort((config[:, 0], config[:, 1]))
    weights = np.ascontiguousarray(tensors.weights[order, : _used(tensors)], dtype="<f2")
    name = base.encode()
    digest = hashlib.sha256(_FORM + struct.pack("<3Q", len(name), *weights.shape) + name)
    digest.update(config[order].tobytes())
    digest.update(weights.data)
    return int.from_bytes(digest.digest()[:8], "big") >> 1 or 1


def _used(tensors: LoraTensors) -> int:
    """Columns up to the last one that is not zero in every row."""
    return int(np.flatnonzero(tensors.weights.any(axis=0)).max(initial=-1)) + 1
