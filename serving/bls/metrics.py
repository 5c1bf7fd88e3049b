"""What a BLS model reports to Triton's metrics endpoint."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from serving.contract.calls import Chunk, FinishReason

_MS_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000)
_SHORT_MS_BUCKETS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 5000)


Observe = Callable[[float], None]


class Families(Protocol):
    """Makes a metric of one model and returns what reports to it."""

    def counter(self, name: str, description: str, model: str, **labels: str) -> Observe: ...
    def gauge(self, name: str, description: str, model: str, **labels: str) -> Observe: ...
    def histogram(
        self, name: str, description: str, model: str, buckets: Sequence[float], **labels: str
    ) -> Observe: ...


class Metrics:
    """One model's families."""

    def __init__(self, families: Families, model: str) -> None:
        counter, gauge, histogram = families.counter, families.gauge, families.histogram
        self.ttft_ms = histogram(
            "conch_ttft_ms", "Time to first token, milliseconds", model, _MS_BUCKETS
        )
        self.inter_token_ms = histogram(
            "conch_inter_token_ms", "Gap between chunks of a stream", model, _SHORT_MS_BUCKETS
        )
        self.queue_ms = histogram("conch_queue_ms", "Wait for a place", model, _MS_BUCKETS)
        self.request_ms = histogram("conch_request_ms", "End to end", model, _MS_BUCKETS)
        self.running = gauge("conch_requests_running", "Sequences in the engine", model)
        self.waiting = gauge("conch_requests_waiting", "Sequences waiting for a place", model)
        self.prompt_tokens = counter("conch_prompt_tokens_total", "Tokens read", model)
        self.completion_tokens = counter("conch_completion_tokens_total", "Tokens made", model)
        self.cancellations = counter("conch_cancellations_total", "Requests cancelled", model)
        self.errors = counter("conch_errors_total", "Requests that ended in an error", model)

    def show_load(self, running: int, waiting: int) -> None:
        self.running(running)
        self.waiting(waiting)


@dataclass(slots=True)
class RequestClock:
    """The times of one request, observed as its chunks pass."""

    metrics: Metrics
    arrived_s: float
    last_chunk_s: float | None = None
    is_closed: bool = False

    def observe(self, chunk: Chunk) -> None:
        now_s = time.monotonic()
        if chunk.is_notice:
            if self.last_chunk_s is not None:
                self.last_chunk_s = now_s  # a pause is no time between tokens
            return
        if self.last_chunk_s is None:
            self.metrics.ttft_ms(_ttft_ms(chunk, (now_s - self.arrived_s) * 1e3))
        elif chunk.text or chunk.reasoning or chunk.tool_calls:
            self.metrics.inter_token_ms((now_s - self.last_chunk_s) * 1e3)
        self.last_chunk_s = now_s
        if chunk.finish_reason is not None:
            self._observe_end(chunk)

    def _observe_end(self, chunk: Chunk) -> None:
        if chunk.usage is not None:
            if chunk.index == 0:  # the others read the same prompt
                self.metrics.prompt_tokens(chunk.usage.prompt_tokens)
            self.metrics.completion_tokens(chunk.usage.completion_tokens)
        if chunk.timings is not None:
            self.metrics.queue_ms(chunk.timings.queue_ms)
        if chunk.finish_reason is FinishReason.CANCELLED:
            self.metrics.cancellations(1)

    def close(self) -> None:
        """The request has ended; a second end is ignored."""
        if self.is_closed:
            return
        self.is_closed = True
        self.metrics.request_ms((time.monotonic() - self.arrived_s) * 1e3)


def _ttft_ms(first: Chunk, elapsed_ms: float) -> float:
    """A whole answer is its own first chunk; its first token came when the engine says."""
    if first.timings is None:
        return elapsed_ms
    return min(elapsed_ms, first.timings.queue_ms + first.timings.prefill_ms)
