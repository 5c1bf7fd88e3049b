"""adapter_config.json of PEFT: the scaling of each module, and what no LoRA tensor can carry."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.contract.errors import UnfitAdapter

# Settings of PEFT (and of its forerunner, the last) that add or change something beside A and B.
_REFUSED = {
    "modules_to_save": "whole modules that were trained",
    "trainable_token_indices": "trained token embeddings",
    "target_parameters": "adapters of bare parameters",
    "layer_replication": "layers that are used several times",
    "alora_invocation_tokens": "an adapter that tokens switch on (aLoRA)",
    "lora_bias": "biases of B",
    "use_qalora": "pooled inputs (QALoRA)",
    "use_bdlora": "block-diagonal adapters",
    "arrow_config": "routing between adapters (Arrow)",
    "monteclora_config": "sampled weights (MonteCLoRA)",
    "kasa_config": "changed base weights (KaSA)",
    "enable_lora": "adapters of parts of a fused module",
}
# Other ways of initialising (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA…) change the base model's weights.
_INITIAL = (True, False, None, "gaussian", "eva", "orthogonal")
# Patterns come from the adapter's author: no groups and few repeats, so that matching is quick.
_PATTERN = re.compile(r"(?:[\w.^$|-]|\\[.d]){1,200}")
_REPEAT = re.compile(r"[*+]")
_MAX_REPEATS = 2
_MAX_PATTERNS = 4096
_MAX_ALPHA = 1e6


@dataclass(frozen=True, slots=True)
class PeftConfig:
    base: str
    rank: int
    alpha: float
    is_rslora: bool = False
    is_dora: bool = False
    is_transposed: bool = False
    layers: frozenset[int] | None = None
    ranks: tuple[tuple[re.Pattern[str], int], ...] = ()
    alphas: tuple[tuple[re.Pattern[str], float], ...] = ()

    def rank_of(self, path: str) -> int:
        """Of the module at `path` in the base model ("model.layers.0.self_attn.q_proj")."""
        return next((rank for pattern, rank in self.ranks if pattern.match(path)), self.rank)

    def scaling_of(self, path: str) -> float:
        """What PEFT multiplies B @ A with: alpha / r, or alpha / sqrt(r) with rsLoRA."""
        alpha = next((alpha for pattern, alpha in self.alphas if pattern.match(path)), self.alpha)
        rank = self.rank_of(path)
        return alpha / (math.sqrt(rank) if self.is_rslora else rank)


def read_config(path: Path) -> PeftConfig:
    """UnfitAdapter when the file is malformed or asks for more than LoRA tensors carry."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnfitAdapter(f"'{path}' cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise UnfitAdapter(f"'{path}' is not a JSON object")
    _check_carried(config)
    return PeftConfig(
        base=str(config.get("base_model_name_or_path") or ""),
        rank=_rank(config.get("r"), "r"),
        alpha=_alpha(config.get("lora_alpha"), "lora_alpha"),
        is_rslora=bool(config.get("use_rslora")),
        is_dora=bool(config.get("use_dora")),
        is_transposed=bool(config.get("fan_in_fan_out")),
        layers=_layers(config.get("layers_to_transform")),
        ranks=tuple(
            (pattern, _rank(value, "rank_pattern"))
            for pattern, value in _patterns(config, "rank_pattern")
        ),
        alphas=tuple(
            (pattern, _alpha(value, "alpha_pattern"))
            for pattern, value in _patterns(config, "alpha_pattern")
        ),
    )


def _check_carried(config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise UnfitAdapter(f"the adapter is {config.get('peft_type')!r}; only LORA is taken")
    if config.get("bias") not in (None, "none"):
        raise UnfitAdapter(f"the adapter has bias {config['bias']!r}: LoRA tensors carry no biases")
    for name, meaning in _REFUSED.items():
        if config.get(name):
            raise UnfitAdapter(f"the adapter has {name}, {meaning}: LoRA tensors cannot carry it")
    if config.get("init_lora_weights") not in _INITIAL:
        raise UnfitAdapter(
            f"the adapter has init_lora_weights {config['init_lora_weights']!r}, which changes the "
            "base model; save it with path_initial_model_for_weight_conversion"
        )


def _rank(value: Any, name: str) -> int:
    if type(value) is not int or value < 1:
        raise UnfitAdapter(f"{name} of the adapter is {value!r}; it must be a whole number above 0")
    return value


def _alpha(value: Any, name: str) -> float:
    if type(value) not in (int, float) or not -_MAX_ALPHA <= value <= _MAX_ALPHA:
        raise UnfitAdapter(
            f"{name} of the adapter is {value!r}; it must be a number of a sensible size"
        )
    return float(value)


def _layers(value: Any) -> frozenset[int] | None:
    if value is None:
        return None
    layers = value if isinstance(value, list) else [value]
    if any(type(layer) is not int or layer < 0 for layer in layers):
        raise UnfitAdapter(f"layers_to_transform of the adapter is {value!r}, not layers' numbers")
    return frozenset(layers)


def _patterns(config: Mapping[str, Any], name: str) -> list[tuple[re.Pattern[str], Any]]:
    patterns = config.get(name) or {}
    if not isinstance(patterns, dict) or len(patterns) > _MAX_PATTERNS:
        raise UnfitAdapter(f"{name} of the adapter is not an object of a sensible size")
    return [(_compiled(key, name), value) for key, value in patterns.items()]


def _compiled(key: str, name: str) -> re.Pattern[str]:
    """As PEFT matches: the key ends the path, at a dot."""
    try:
        plain, repeats = _REPEAT.subn("", key)
        if _PATTERN.fullmatch(plain) and repeats <= _MAX_REPEATS:
            return re.compile(rf"(.*\.)?({key})$")
    except re.error:
        pass
    raise UnfitAdapter(f"{name} of the adapter has the key {key!r}, which is not a simple pattern")
