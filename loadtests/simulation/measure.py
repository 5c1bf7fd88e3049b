"""What an engine's steps and prompts take, timed on a running Triton: one engine model, alone."""

import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from loadtests.settings import RefusedLoad

BATCHES = (1, 2, 4, 8, 16)
PROMPTS = (64, 256, 512, 960)
CONTEXTS = (32, 512)
ANSWER_TOKENS = 48
REPEATS = 15
STOPS = 15
SILENCE_S = 60.0
IDS = (300, 2000)  # ordinary tokens of any vocabulary


@dataclass(frozen=True, slots=True)
class StepTime:
    """A step of so many sequences, with so many tokens of all in the KV cache."""

    sequences: int
    kv_tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PromptTime:
    """The engine's time from a prompt to its first token."""

    prompt_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Measured:
    """`start_s`: what is around the engine's own time to the first token; `stop_s`: to its end."""

    steps: tuple[StepTime, ...]
    prompts: tuple[PromptTime, ...]
    start_s: float
    stop_s: float


@dataclass(slots=True)
class _Answer:
    """Moments of the client are in seconds, those of the engine in nanoseconds of its own clock."""

    asked_s: float
    first_s: float = 0.0
    last_s: float = 0.0
    tokens: int = 0
    scheduled_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0

    @property
    def prefill_s(self) -> float:
        return (self.first_ns - self.scheduled_ns) / 1e9

    @property
    def around_s(self) -> float:
        """What of the client's time to the first token is not the engine's."""
        return self.first_s - self.asked_s - self.prefill_s


@dataclass(slots=True)
class Meter:
    """Asks one model over one stream. The engine must have nothing else to do."""

    client: triton.InferenceServerClient
    model: str
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _messages: "queue.Queue[tuple[object, object]]" = field(default_factory=queue.Queue)
    _number: int = 0

    def measure(self) -> Measured:
        """In rounds over all that is measured, so that a disturbance spoils little of each."""
        self._together(2, 64, ANSWER_TOKENS)  # warms up
        batches = [(batch, context) for context in CONTEXTS for batch in BATCHES]
        steps: dict[tuple[int, int], list[float]] = {each: [] for each in batches}
        alone: dict[int, list[_Answer]] = {length: [] for length in PROMPTS}
        for _ in range(REPEATS):
            for batch, context in batches:
                steps[batch, context].append(self._step_s(batch, context))
            for length in PROMPTS:
                alone[length] += self._together(1, length, 2)
        return Measured(
            tuple(_step_time(*each, times) for each, times in steps.items()),
            tuple(_prompt_time(length, answers) for length, answers in alone.items()),
            median(each.around_s for answers in alone.values() for each in answers),
            self._stop_time_s(),
        )

    def _step_s(self, batch: int, context: int) -> float:
        """Who began last decodes with all the others, until the first has ended."""
        answers = self._together(batch, context, ANSWER_TOKENS)
        last = max(answers, key=lambda each: each.first_ns)
        return (last.last_ns - last.first_ns) / 1e9 / (last.tokens - 1)

    def _together(self, batch: int, prompt_tokens: int, answer_tokens: int) -> list[_Answer]:
        names = [self._ask(prompt_tokens, answer_tokens) for _ in range(batch)]
        answers = {name: _Answer(time.perf_counter()) for name in names}
        left = set(names)
        while left:
            name, is_final = self._take(answers)
            if is_final:
                left.discard(name)
        return list(answers.values())

    def _stop_time_s(self) -> float:
        """From the word to stop until the request's last message."""
        times = []
        for _ in range(STOPS):
            name = self._ask(64, 900)
            answers = {name: _Answer(time.perf_counter())}
            while answers[name].tokens < ANSWER_TOKENS:
                self._take(answers)
            stopped_s = time.perf_counter()
            self._send(_stop(), name)
            while not self._take(answers)[1]:
                pass
            times.append(time.perf_counter() - stopped_s)
            self._drain()
        return median(times)

    def _drain(self) -> None:
        """The stop itself is answered too."""
        time.sleep(0.1)
        while not self._messages.empty():
            self._messages.get_nowait()

    def _ask(self, prompt_tokens: int, answer_tokens: int) -> str:
        self._number += 1
        ids = self._rng.integers(*IDS, prompt_tokens).tolist()
        name = f"fit-{self._number}"
        inputs = [
            _tensor("input_ids", ids),
            _tensor("input_lengths", [len(ids)]),
            _tensor("request_output_len", [answer_tokens]),
            _true("streaming"),
            _true("return_perf_metrics"),
        ]
        self._send(inputs, name)
        return name

    def _send(self, inputs: list[triton.InferInput], name: str) -> None:
        self.client.async_stream_infer(
            self.model, inputs, request_id=name, enable_empty_final_response=True
        )

    def heard(self, result: object, error: object) -> None:
        """Called by the client's own thread."""
        self._messages.put((result, error))

    def _take(self, answers: dict[str, _Answer]) -> tuple[str, bool]:
        """One message: whose it is, and whether it is the last one."""
        try:
            result, error = self._messages.get(timeout=SILENCE_S)
        except queue.Empty:
            raise RefusedLoad(f"model '{self.model}' is silent for {SILENCE_S:g} s") from None
        if error is not None:
            raise RefusedLoad(f"model '{self.model}' refused: {error}")
        assert isinstance(result, triton.InferResult)
        response = result.get_response()
        answer = answers[response.id]
        ids = result.as_numpy("output_ids")
        if ids is not None:
            _note(answer, result, int(ids.size))
        return response.id, response.parameters["triton_final_response"].bool_param


def _step_time(batch: int, context: int, times: Sequence[float]) -> StepTime:
    return StepTime(batch, batch * (context + ANSWER_TOKENS / 2), median(times))


def _prompt_time(length: int, answers: Sequence[_Answer]) -> PromptTime:
    return PromptTime(length, median(each.prefill_s for each in answers))


def _note(answer: _Answer, result: triton.InferResult, tokens: int) -> None:
    answer.last_s = time.perf_counter()
    answer.first_s = answer.first_s or answer.last_s
    answer.tokens += tokens
    if result.as_numpy("last_token_time_ns") is not None:
        answer.scheduled_ns = _integer(result, "first_scheduled_time_ns")
        answer.first_ns = _integer(result, "first_token_time_ns")
        answer.last_ns = _integer(result, "last_token_time_ns")


def _integer(result: triton.InferResult, name: str) -> int:
    return int(result.as_numpy(name).flat[0])


def _tensor(name: str, values: Sequence[int]) -> triton.InferInput:
    tensor = triton.InferInput(name, [1, len(values)], "INT32")
    tensor.set_data_from_numpy(np.array([values], dtype=np.int32))
    return tensor


def _true(name: str) -> triton.InferInput:
    tensor = triton.InferInput(name, [1, 1], "BOOL")
    tensor.set_data_from_numpy(np.array([[True]]))
    return tensor


def _stop() -> list[triton.InferInput]:
    needed = ("input_ids", "input_lengths", "request_output_len")
    return [*(_tensor(name, [1]) for name in needed), _true("stop")]


def measure(url: str, model: str) -> Measured:
    """Takes about a minute. Raises RefusedLoad when the model does not do as an engine does."""
    with triton.InferenceServerClient(url) as client:
        _check_ready(client, url, model)
        meter = Meter(client, model)
        client.start_stream(meter.heard)
        return meter.measure()


def _check_ready(client: triton.InferenceServerClient, url: str, model: str) -> None:
    try:
        is_ready = client.is_model_ready(model)
    except InferenceServerException as error:
        raise RefusedLoad(f"no Triton answers at {url}: {error.message()}") from None
    if not is_ready:
        raise RefusedLoad(f"{url} has no model '{model}' that is ready; name one that it serves")
