"""The adapters of a BLS model, as its configuration says: where they are, and what fits."""

import os
from collections.abc import Callable
from pathlib import Path

from serving.adapters import python_backend
from serving.adapters.python_backend import ModelConfig
from serving.bls.adapter_choice import Adapters
from serving.bls.adapter_metrics import AdapterMetrics
from serving.bls.adapter_mirror import Mirror
from serving.bls.adapter_registry import Registry
from serving.bls.adapter_room import Room
from serving.bls.adapters import AdapterPool
from serving.bls.engine import Engine
from serving.bls.engine_tensors import one_token
from serving.contract.addresses import OWN_ADAPTERS
from serving.lora.fit import LoraLimits
from serving.lora.modules import SPLIT_MODULES, Module
from serving.lora.shape import shape_of
from serving.lora.source import BaseModel
from serving.lora.store import AdapterStore

SHIPPED = "adapters"


def load_adapters(
    config: ModelConfig, engine: Engine, *, end_id: int, log: Callable[[str], None]
) -> Adapters | None:
    """None when the engine takes none. Raises a load error."""
    base = _base(config)
    if base is None:
        return None
    registry = Registry(config.name, _store(config, base), anonymous=_anonymous(config), log=log)
    metrics = AdapterMetrics(python_backend, config.name)
    mirror = Mirror(config.number("lora_max_adapters", 6), metrics.resident)
    room = Room(
        mirror,
        wait_s=config.number("adapter_wait_ms", 2000) / 1e3,
        max_waiting=config.number("max_adapter_waiting", config.number("max_inflight", 64) // 4),
    )
    pool = AdapterPool(
        engine, mirror, room, metrics, pinned=registry.pinned, shortest=one_token(end_id)
    )
    return Adapters(registry, pool, mirror, room)


def _base(config: ModelConfig) -> BaseModel | None:
    """A GGUF file has no config.json beside it; its engine applies no adapter."""
    folder = Path(config.version_dir) / (config.parameter("model") or "model")
    if not (folder / "config.json").is_file() or config.number("lora_max_adapters", 6) == 0:
        return None
    try:
        shape = shape_of(folder)
    except ValueError:
        return None  # no dense decoder; it is served as it is
    limits = LoraLimits(config.number("lora_max_rank", 64), _modules(config))
    return BaseModel(config.name, shape, limits)


def _modules(config: ModelConfig) -> frozenset[Module]:
    named = config.parameter("lora_target_modules")
    if named is None:
        return SPLIT_MODULES
    known = {module.engine_name: module for module in Module}
    names = named.replace(",", " ").split()
    if unknown := sorted(set(names) - known.keys()):
        raise python_backend.load_error(
            f"parameter 'lora_target_modules' of '{config.name}' names {', '.join(unknown)}; "
            f"there are {', '.join(known)}"
        )
    return frozenset(known[name] for name in names)


def _store(config: ModelConfig, base: BaseModel) -> AdapterStore:
    root = os.environ.get(OWN_ADAPTERS)
    own = None if not root else Path(root) / config.name
    return AdapterStore(base, shipped=Path(config.version_dir) / SHIPPED, own=own)


def _anonymous(config: ModelConfig) -> frozenset[str] | None:
    named = config.parameter("anonymous_adapters")
    return None if named is None else frozenset(named.replace(",", " ").split())
