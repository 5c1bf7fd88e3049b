"""The step loop's engine: OpenVINO GenAI's continuous batching behind plain data.

Admits in order of arrival and only what surely fits into the KV cache (TensorRT-LLM's
`guaranteed_no_evict`); knows no Triton, no pipe and no client.
"""

import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbits
from tempfile import TemporaryDirectory

import numpy as np

# Imported, it reports every start to its makers over the network; openvino does without it.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
import openvino as ov  # noqa: E402
import openvino_genai as genai  # noqa: E402
from openvino_genai.py_openvino_genai import GenerationHandle, GenerationOutput  # noqa: E402

from serving.contract.calls import Guide  # noqa: E402
from serving.engines.messages import BLOCK_TOKENS, EngineSettings, Key, Update  # noqa: E402
from serving.engines.requests import EngineRequest  # noqa: E402


@dataclass(slots=True)
class _Sequence:
    key: Key
    request: EngineRequest
    blocks: int
    scheduled_ns: int = 0
    first_token_ns: int = 0
    made: list[int] = field(default_factory=list)
    handle: GenerationHandle | None = None


class OpenVinoEngine:
    """Sequences wait, run and end; `step` moves every running one by at most one token."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._pipeline = build_pipeline(settings)
        self._free_blocks = settings.kv_blocks
        self._waiting: deque[_Sequence] = deque()
        self._running: dict[Key, _Sequence] = {}
        self._next_id = 0

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        return not self._running and not self._waiting

    def add(self, key: Key, request: EngineRequest) -> None:
        tokens = len(request.input_ids) + request.max_tokens
        self._waiting.append(_Sequence(key, request, blocks=-(-tokens // BLOCK_TOKENS)))

    def cancel(self, request_key: int) -> list[Update]:
        """End every sequence of a request; their last updates carry no tokens."""
        waiting = [s for s in self._waiting if s.key[0] == request_key]
        running = [s for s in self._running.values() if s.key[0] == request_key]
        for sequence in waiting:
            self._waiting.remove(sequence)
        for sequence in running:
            self._cancel_running(sequence)
        return [self._update(s, is_last=True) for s in (*waiting, *running)]

    def step(self) -> list[Update]:
        """Admit what fits, run one step, and return what it made. Never raises."""
        refused = self._admit()
        try:
            self._pipeline.step()
        except RuntimeError as error:
            return refused + self._fail_all(str(error))
        return refused + [u for s in list(self._running.values()) for u in self._read(s)]

    def _admit(self) -> list[Update]:
        """Start what fits; returns the ends of those that the library does not take."""
        refused = []
        while self._waiting and self._fits(self._waiting[0]):
            sequence = self._waiting.popleft()
            try:
                self._start(sequence)
            except RuntimeError as error:
                refused.append(self._update(sequence, is_last=True, error=str(error)))
        return refused

    def _start(self, sequence: _Sequence) -> None:
        self._next_id += 1
        ids = ov.Tensor(sequence.request.input_ids[None, :])
        config = _generation_config(sequence.request, sequence.key[2])
        sequence.handle = self._pipeline.add_request(self._next_id, ids, config)
        sequence.scheduled_ns = time.monotonic_ns()
        self._free_blocks -= sequence.blocks
        self._running[sequence.key] = sequence

    def _fits(self, sequence: _Sequence) -> bool:
        has_place = len(self._running) < self._settings.max_num_seqs
        return has_place and sequence.blocks <= self._free_blocks

    def _read(self, sequence: _Sequence) -> Iterator[Update]:
        handle = sequence.handle
        assert handle is not None
        while handle.can_read():
            for output in handle.read().values():
                yield self._advance(sequence, output)

    def _advance(self, sequence: _Sequence, output: GenerationOutput) -> Update:
        is_first = not sequence.made
        sequence.first_token_ns = sequence.first_token_ns or time.monotonic_ns()
        sequence.made.extend(output.generated_ids)
        is_last = output.finish_reason != genai.GenerationFinishReason.NONE
        if not is_last and _ends_with_any(sequence.made, sequence.request.stop_sequences):
            self._cancel_running(sequence)
            is_last = True
        elif is_last:
            self._release(sequence)
        update = self._update(sequence, is_last=is_last)
        update.tokens = output.generated_ids
        update.is_first = is_first
        if sequence.request.has_logprobs:
            update.logprobs = output.generated_log_probs
            update.cum_logprob = output.score
        return update

    def _update(self, sequence: _Sequence, *, is_last: bool, error: str | None = None) -> Update:
        return Update(
            sequence.key,
            is_streamed=sequence.request.is_streamed,
            is_last=is_last,
            error=error,
            first_scheduled_ns=sequence.scheduled_ns,
            first_token_ns=sequence.first_token_ns,
            last_token_ns=time.monotonic_ns(),
        )

    def _cancel_running(self, sequence: _Sequence) -> None:
        assert sequence.handle is not None
        sequence.handle.cancel()
        self._release(sequence)

    def _release(self, sequence: _Sequence) -> None:
        del self._running[sequence.key]
        self._free_blocks += sequence.blocks

    def _fail_all(self, error: str) -> list[Update]:
        """A step that raised leaves the pipeline unusable: fail what ran, build a new one."""
        failed = list(self._running.values())
        for sequence in failed:
            self._release(sequence)
        self._pipeline = build_pipeline(self._settings)
        return [self._update(s, is_last=True, error=error) for s in failed]


def build_pipeline(settings: EngineSettings) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.num_kv_blocks = settings.kv_blocks
    scheduler.max_num_seqs = settings.max_num_seqs
    scheduler.max_num_batched_tokens = settings.max_num_batched_tokens
    scheduler.enable_prefix_caching = True
    scheduler.dynamic_split_fuse = True
    properties = {} if settings.threads is None else {"INFERENCE_NUM_THREADS": settings.threads}
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
        self._engine = OpenVinoEngine(EngineSettings(probe, BLOCK_TOKENS * 4, 1, BLOCK_TOKENS))

    def compile(self, guide: Guide) -> str | None:
        """Why `guide` does not compile, or None when it does."""
        ids = np.zeros(1, dtype=np.int64)
        self._engine.add((0, 0, 0), EngineRequest(ids, max_tokens=1, guide=guide))
        updates = self._engine.step()
        return next((update.error for update in updates if update.error is not None), None)


def _ends_with_any(tokens: list[int], sequences: tuple[tuple[int, ...], ...]) -> bool:
    return any(tuple(tokens[-len(s) :]) == s for s in sequences if len(s) > 1)
