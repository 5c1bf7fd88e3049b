"""The settings of a `trtllm-llmapi` engine: config.pbtxt's parameters, the checkpoint's sizes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.adapters.python_backend import ModelConfig, load_error
from serving.engines.requests import Capacity
from serving.lora.fit import LoraLimits
from serving.lora.modules import SPLIT_MODULES, Module

DEFAULT_KV_SHARE = 0.9  # of the GPU memory that the weights leave; TensorRT-LLM's own default


@dataclass(frozen=True, slots=True)
class LlmApiSettings:
    """What `tensorrt_llm.LLM` is built with. `max_adapters` 0: an engine without LoRA."""

    model_path: Path
    capacity: Capacity
    tensor_parallel: int
    max_sequences: int
    max_num_tokens: int
    kv_share: float
    kv_tokens: int | None
    max_adapters: int
    lora: LoraLimits


def settings_of(config: ModelConfig) -> LlmApiSettings:
    """Raises what Triton reports as the load's failure, with the parameter and its value."""
    model_path = Path(config.version_dir) / (config.parameter("model") or "model")
    context, vocabulary = _sizes(model_path, config.number("max_seq_len", 0))
    max_adapters = config.number("lora_max_adapters", 6)
    kv_tokens = config.number("max_tokens_in_paged_kv_cache", 0) or None
    return LlmApiSettings(
        model_path=model_path,
        capacity=Capacity(context, kv_tokens or context, vocabulary, _why_no_lora(max_adapters)),
        tensor_parallel=config.number("tensor_parallel_size", 1),
        max_sequences=config.number("max_num_sequences", 64),
        max_num_tokens=config.number("max_num_tokens", 8192),
        kv_share=_share(config, "kv_cache_free_gpu_mem_fraction"),
        kv_tokens=kv_tokens,
        max_adapters=max_adapters,
        lora=LoraLimits(config.number("lora_max_rank", 64), _modules(config)),
    )


def _sizes(model_path: Path, max_seq_len: int) -> tuple[int, int]:
    """Tokens of a sequence and of the vocabulary."""
    path = model_path / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        text = config.get("text_config", config)
        return max_seq_len or int(text["max_position_embeddings"]), int(text["vocab_size"])
    except (OSError, ValueError, KeyError) as error:
        reason = f"'{path}' is not the config of a Hugging Face checkpoint: {error!r}"
        raise load_error(reason) from None


def _why_no_lora(max_adapters: int) -> str | None:
    return None if max_adapters else "its parameter 'lora_max_adapters' is 0"


def _share(config: ModelConfig, key: str) -> float:
    text = config.parameter(key) or str(DEFAULT_KV_SHARE)
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise load_error(f"parameter '{key}' of '{config.name}' is '{text}', not between 0 and 1")
    return share


def _modules(config: ModelConfig) -> frozenset[Module]:
    """`lora_target_modules`, in TensorRT-LLM's words with commas; all of a dense decoder's."""
    text = config.parameter("lora_target_modules")
    if text is None:
        return SPLIT_MODULES
    known = {module.engine_name: module for module in Module}
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise load_error(
            f"parameter 'lora_target_modules' of '{config.name}' has '{unknown[0]}'; "
            f"it takes {', '.join(known)}"
        )
    return frozenset(known[name] for name in names)
