"""OpenVINO GenAI's continuous batching behind plain data: one pipeline, and what starts in it.

Knows no other pipeline, no Triton, no pipe and no client.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbits
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

# Imported, it reports every start to its makers over the network; openvino does without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino as ov  # noqa: E402
import openvino_genai as genai  # noqa: E402
from openvino_genai.py_openvino_genai import GenerationHandle, GenerationOutput  # noqa: E402

from serving.contract.calls import Guide  # noqa: E402
from serving.engines.admission import Room, Task  # noqa: E402
from serving.engines.messages import (  # noqa: E402
    BLOCK_TOKENS,
    EngineSettings,
    Failure,
    Key,
    Update,
)
from serving.engines.requests import EngineRequest  # noqa: E402


@dataclass(slots=True, eq=False)
class Sequence:
    """One sequence of a request on its way through the engine."""

    key: Key
    request: EngineRequest
    scheduled_ns: int = 0
    first_token_ns: int = 0
    made: list[int] = field(default_factory=list)
    handle: GenerationHandle | None = None

    @property
    def blocks(self) -> int:
        """Blocks of the KV cache that it holds at its end."""
        return -(-(len(self.request.input_ids) + self.request.max_tokens) // BLOCK_TOKENS)

    @property
    def task(self) -> Task:
        return None if self.request.lora is None else self.request.lora.task_id

    def update(
        self, *, is_last: bool, error: str | None = None, failure: Failure = Failure.STEP
    ) -> Update:
        return Update(
            self.key,
            is_streamed=self.request.is_streamed,
            is_last=is_last,
            error=error,
            failure=failure,
            first_scheduled_ns=self.scheduled_ns,
            first_token_ns=self.first_token_ns,
            last_token_ns=time.monotonic_ns(),
        )


class Pipeline:
    """The base model or one adapter on it; `step` moves every running sequence by a token at most.

    `adapter` is the content of a safetensors file with PEFT's names. What starts must fit `room`.
    """

    def __init__(self, settings: EngineSettings, blocks: int, adapter: bytes | None = None) -> None:
        self._settings = settings
        self._blocks = blocks
        self._adapter = None if adapter is None else _adapter(adapter)
        self._pipeline = build_pipeline(settings, blocks, self._adapter)
        self._next_id = 0
        self.running: dict[Key, Sequence] = {}
        self.used_blocks = 0

    @property
    def room(self) -> Room:
        places = self._settings.max_num_seqs - len(self.running)
        return Room(self._blocks - self.used_blocks, places)

    def start(self, sequence: Sequence) -> None:
        """Raises RuntimeError when the library does not take it."""
        self._next_id += 1
        ids = ov.Tensor(sequence.request.input_ids[None, :])
        config = _generation_config(sequence.request, sequence.key[2])
        sequence.handle = self._pipeline.add_request(self._next_id, ids, config)
        sequence.scheduled_ns = time.monotonic_ns()
        self.used_blocks += sequence.blocks
        self.running[sequence.key] = sequence

    def cancel(self, sequence: Sequence) -> None:
        assert sequence.handle is not None
        sequence.handle.cancel()
        self._release(sequence)
        if not self.running:
            self.step()  # only in a step does the library free what was cancelled

    def step(self) -> list[Update]:
        """Run one step and return what it made. Never raises."""
        try:
            self._pipeline.step()
        except RuntimeError as error:
            return self._fail_all(str(error))
        return [u for s in list(self.running.values()) for u in self._read(s)]

    def _read(self, sequence: Sequence) -> Iterator[Update]:
        handle = sequence.handle
        assert handle is not None
        while handle.can_read():
            for output in handle.read().values():
                yield self._advance(sequence, output)

    def _advance(self, sequence: Sequence, output: GenerationOutput) -> Update:
        is_first = not sequence.made
        sequence.first_token_ns = sequence.first_token_ns or time.monotonic_ns()
        sequence.made.extend(output.generated_ids)
        is_last = output.finish_reason != genai.GenerationFinishReason.NONE
        if not is_last and _ends_with_any(sequence.made, sequence.request.stop_sequences):
            self.cancel(sequence)
            is_last = True
        elif is_last:
            self._release(sequence)
        update = sequence.update(is_last=is_last)
        update.tokens = output.generated_ids
        update.is_first = is_first
        if sequence.request.has_logprobs:
            update.logprobs = output.generated_log_probs
            update.cum_logprob = output.score
        return update

    def _release(self, sequence: Sequence) -> None:
        del self.running[sequence.key]
        self.used_blocks -= sequence.blocks

    def _fail_all(self, error: str) -> list[Update]:
        """A step that raised leaves the pipeline unusable: fail what ran, build a new one."""
        failed = list(self.running.values())
        for sequence in failed:
            self._release(sequence)
        self._pipeline = build_pipeline(self._settings, self._blocks, self._adapter)
        return [sequence.update(is_last=True, error=error) for sequence in failed]


def _adapter(safetensors: bytes) -> genai.Adapter:
    return genai.Adapter(ov.Tensor(np.frombuffer(safetensors, np.uint8).copy()))


def why_no_guides(model: Path) -> str | None:
    """The reason why answers cannot be guided: a guide would ruin the pipeline. None: they can."""
    vocabulary = "openvino_detokenizer.xml"
    if model.suffix == ".gguf" or (model / vocabulary).is_file():
        return None
    return f"the model's folder has no {vocabulary}, which tells OpenVINO its vocabulary"


def linear_modules(model: Path) -> frozenset[str]:
    """The modules of an OpenVINO folder's graph that an adapter can change, by their HF names.

    The library finds an adapter's tensors by these names, and drops the others without a word.
    """
    graph = ov.Core().read_model(model / "openvino_model.xml")
    names = (op.get_friendly_name() for op in graph.get_ops() if op.get_type_name() == "MatMul")
    return frozenset(
        name.removeprefix("__module.").split("/")[0]
        for name in names
        if name.startswith("__module.")
    )


def build_pipeline(
    settings: EngineSettings, blocks: int | None = None, adapter: genai.Adapter | None = None
) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = settings.kv_blocks if blocks is None else blocks
    scheduler.max_num_seqs = settings.max_num_seqs
    scheduler.max_num_batched_tokens = settings.max_num_batched_tokens
    scheduler.enable_prefix_caching = True
    scheduler.dynamic_split_fuse = True
    properties: dict[str, Any] = {}
    if settings.threads is not None:
        properties["INFERENCE_NUM_THREADS"] = settings.threads
    if adapter is not None:
        # The only mode that works on int8 weights without a setting per request.
        properties["adapters"] = genai.AdapterConfig(
            adapter, mode=genai.AdapterConfig.Mode.MODE_STATIC
        )
    with _writable(settings.model_path) as model:
        return genai.ContinuousBatchingPipeline(str(model), scheduler, "CPU", properties)


@contextmanager
def _writable(model: Path) -> Iterator[Path]:
    """`model`, or for the block a copy of it: the library opens GGUF files for writing."""
    if model.suffix != ".gguf" or os.access(model, os.W_OK):
        yield model
        return
    with TemporaryDirectory(prefix="conch_model_") as folder:
        yield Path(shutil.copyfile(model, Path(folder) / model.name))


def _generation_config(request: EngineRequest, sequence: int) -> genai.GenerationConfig:
    config = genai.GenerationConfig()
    config.max_new_tokens = request.max_tokens
    config.min_new_tokens = min(request.min_tokens, request.max_tokens)
    config.repetition_penalty = request.repetition_penalty
    config.presence_penalty = request.presence_penalty
    config.frequency_penalty = request.frequency_penalty
    config.logprobs = int(request.has_logprobs)
    _set_stops(config, request)
    if not request.is_greedy:
        _set_sampling(config, request, sequence)
    if request.guide is not None:
        config.structured_output_config = structured_output(request.guide)
    return config


def _set_stops(config: genai.GenerationConfig, request: EngineRequest) -> None:
    stops = {s[0] for s in request.stop_sequences if len(s) == 1}
    if request.end_id is not None:
        config.eos_token_id = request.end_id
        stops.add(request.end_id)
    config.stop_token_ids = stops
    config.ignore_eos = not stops


def _set_sampling(config: genai.GenerationConfig, request: EngineRequest, sequence: int) -> None:
    config.do_sample = True
    config.temperature = request.temperature
    if request.top_k > 0:
        config.top_k = request.top_k
    if request.top_p > 0:
        config.top_p = request.top_p
    # Every sequence of a request needs a seed of its own, or all n would be the same.
    seed = randbits(63) if request.seed is None else request.seed + sequence
    config.rng_seed = seed % 2**63


def structured_output(guide: Guide) -> genai.StructuredOutputConfig:
    """OpenVINO's form of a guide; `json` is any JSON object."""
    match guide.kind:
        case "json":
            return genai.StructuredOutputConfig(json_schema='{"type": "object"}')
        case "json_schema":
            return genai.StructuredOutputConfig(json_schema=guide.text)
        case "regex":
            return genai.StructuredOutputConfig(regex=guide.text)
        case _:
            return genai.StructuredOutputConfig(grammar=guide.text)


class GuideCompiler:
    """Tries guides out on the model at `probe`; the engine builds it anew after a bad one."""

    def __init__(self, probe: Path) -> None:
        blocks = 4
        settings = EngineSettings(probe, BLOCK_TOKENS * blocks, 1, BLOCK_TOKENS)
        self._pipeline = Pipeline(settings, blocks)

    def compile(self, guide: Guide) -> str | None:
        """Why `guide` does not compile, or None when it does."""
        ids = np.zeros(1, dtype=np.int64)
        try:
            self._pipeline.start(Sequence((0, 0, 0), EngineRequest(ids, 1, guide=guide)))
        except RuntimeError as error:
            return str(error)
        updates = self._pipeline.step()
        return next((update.error for update in updates if update.error is not None), None)


def _ends_with_any(tokens: list[int], sequences: tuple[tuple[int, ...], ...]) -> bool:
    return any(tuple(tokens[-len(s) :]) == s for s in sequences if len(s) > 1)
