"""What TensorRT-LLM's LoRA cache says when it cannot serve; its clients go by these very words."""

import re

from serving.contract.errors import AdaptersBusy, ConchError, EngineFailed

_MISS = re.compile(r"LoRA task [0-9]+ not found in cache\. Please send LoRA weights with request")
_FULL = re.compile(r"Cache is full\. There are no done tasks to evict")


def executor_failed(number: int, why: str) -> str:
    """The text of a failed response as TensorRT-LLM's backend words it; `number` is any."""
    return f"Executor failed process requestId {number} due to the following error: {why}"


def refusal_of(text: str) -> ConchError | None:
    """The error for an engine's text; its message are the cache's own words and nothing else."""
    if (said := _MISS.search(text)) is not None:
        return EngineFailed(said[0])
    if (said := _FULL.search(text)) is not None:
        return AdaptersBusy(said[0])
    return None


def is_miss(error: ConchError) -> bool:
    """The engine does not have the adapter and got no weights."""
    return _MISS.search(error.message) is not None


def is_full(error: ConchError) -> bool:
    """Every adapter that the engine has is in use."""
    return _FULL.search(error.message) is not None
