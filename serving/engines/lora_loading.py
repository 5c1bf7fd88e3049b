"""Adapters on their way into the engine: checked, named as the graph names them, loaded aside."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from serving.contract.errors import UnfitAdapter
from serving.engines.messages import BLOCK_TOKENS, EngineSettings
from serving.engines.openvino import Pipeline, linear_modules
from serving.lora import peft
from serving.lora.fit import LoraLimits, fitted
from serving.lora.modules import Module, module_of
from serving.lora.shape import ModelShape, shape_of
from serving.lora.weights import LoraLayer, LoraTensors, decode
from serving.text.model_files import context_length

_PEFT_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class Loaded:
    """An adapter's pipeline, and how long it took from the start of its load."""

    pipeline: Pipeline
    load_s: float


class NoAdaptersError(Exception):
    """The engine cannot serve adapters at all; the message is the reason."""


class AdapterLoader:
    """Loads one adapter after the other on a thread of its own, for the library lets others run."""

    def __init__(self, settings: EngineSettings) -> None:
        """Raises NoAdaptersError."""
        self._settings = settings
        self._shape = _shape(settings)
        self._linear_modules = linear_modules(settings.model_path)
        self._limits = LoraLimits(settings.lora_max_rank, _modules(self._linear_modules))
        self._blocks = adapter_blocks(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="adapter")

    def load(self, tensors: LoraTensors) -> Future[Loaded]:
        """Fails with UnfitAdapter, or with the library's RuntimeError."""
        return self._thread.submit(self._load, tensors)

    def _load(self, tensors: LoraTensors) -> Loaded:
        started_s = time.monotonic()
        layers = self._fitted(tensors)
        content = peft.safetensors(layers)
        check_all_used(content, self._linear_modules)
        pipeline = Pipeline(self._settings, self._blocks, content)
        return Loaded(pipeline, time.monotonic() - started_s)

    def _fitted(self, tensors: LoraTensors) -> Sequence[LoraLayer]:
        return fitted(decode(tensors, self._shape), self._shape, self._limits)


def _shape(settings: EngineSettings) -> ModelShape:
    if settings.lora_max_adapters == 0:
        raise NoAdaptersError("its parameter 'lora_max_adapters' is 0")
    if settings.model_path.suffix == ".gguf":
        raise NoAdaptersError(
            "it serves a GGUF file, on which OpenVINO drops adapters without a word; "
            "convert it with `conch build`"
        )
    try:
        return shape_of(settings.model_path)
    except ValueError as error:
        raise NoAdaptersError(str(error)) from None


def adapter_blocks(settings: EngineSettings) -> int:
    """The KV blocks of an adapter's own pool.

    Its share of the engine's if all adapters are resident beside the base model, but never less
    than its longest request needs. The base model's pool is as large as the engine's, so that it
    is no slower for adapters that nobody uses. All pools together promise more than there is: what
    runs is bounded by the shared budget, and memory is taken only for blocks that have been used.
    """
    share = settings.kv_blocks // (settings.lora_max_adapters + 1)
    longest = -(-context_length(settings.model_path) // BLOCK_TOKENS)
    return min(settings.kv_blocks, max(share, longest))


def check_all_used(safetensors: bytes, linear_modules: frozenset[str]) -> None:
    """UnfitAdapter unless the model's graph has the module of every tensor, by name."""
    size = int.from_bytes(safetensors[:8], "little")
    names = json.loads(safetensors[8 : 8 + size]).keys() - {"__metadata__"}
    modules = {name.removeprefix(_PEFT_PREFIX).rsplit(".lora_", 1)[0] for name in names}
    unused = sorted(modules - linear_modules)
    if unused:
        raise UnfitAdapter(
            f"the model's graph has no module '{unused[0]}' ({len(unused)} of the adapter's "
            f"{len(modules)} are not there), so the adapter would not be used as a whole; train it "
            "on modules that the model has"
        )


def _modules(linear_modules: frozenset[str]) -> frozenset[Module]:
    """The kinds of module among names like `model.layers.0.self_attn.q_proj`."""
    kinds = (module_of(".".join(name.split(".")[-2:])) for name in linear_modules)
    return frozenset(kind for kind in kinds if kind is not None)
