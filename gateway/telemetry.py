"""What the gateway tells of a request and of itself. Never prompts, answers or keys."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog
from prometheus_client import Histogram

from gateway.ask import Ask
from gateway.metrics import Metrics
from gateway.tally import Tally
from serving.contract.cache import CacheOutcome
from serving.contract.calls import Chunk
from serving.contract.errors import Cancelled
from serving.contract.guardrails import Verdict
from serving.contract.principal import Principal
from serving.contract.usage import MOST_VERDICTS

log: structlog.stdlib.BoundLogger = structlog.get_logger("gateway")

PROBES = ("health", "metrics")


@dataclass(slots=True)
class Record:
    """What is known of one request, from its first byte to its last."""

    metrics: Metrics
    endpoint: str
    request_id: str
    model: str = ""
    adapter: str | None = None
    priority: str | None = None
    status: int = 0
    reason: str = ""
    principal: Principal | None = None
    tally: Tally = field(default_factory=Tally)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    listener: Callable[[Chunk], None] | None = None
    first_token_s: float | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    cache: CacheOutcome | None = None
    _began_s: float = field(default_factory=time.perf_counter)
    _last_s: float = 0.0
    _is_streamed: bool = False
    _adapter_label: str = ""
    _between: Histogram | None = None

    @property
    def age_s(self) -> float:
        """Seconds since its first byte."""
        return time.perf_counter() - self._began_s

    def began(self) -> None:
        self.metrics.in_flight.labels(self.endpoint).inc()

    def identified(self, principal: Principal) -> None:
        self.principal = principal
        structlog.contextvars.bind_contextvars(
            tenant=principal.tenant, project=principal.project, principal=principal.id
        )

    def asked(self, ask: Ask) -> None:
        self.tally = Tally(ask.choices_per_prompt)
        self._is_streamed = ask.is_streamed

    def prioritized(self, class_name: str) -> None:
        self.priority = class_name
        self.headers.append((b"x-conch-priority", class_name.encode()))

    def routed(self, model: str, adapter: str | None = None, *, label: str = "") -> None:
        """`label` is what metrics call the adapter: of a bounded set."""
        self.model, self.adapter, self._adapter_label = model, adapter, label
        # An answer that comes whole has no first token that a client could see.
        self._between = self.metrics.between_tokens.labels(model) if self._is_streamed else None

    def answered_from_cache(self, outcome: CacheOutcome, age_s: float | None = None) -> None:
        """Or not; told before its first chunk. One that was just made is 0 seconds old."""
        self.cache = outcome
        self.headers.append((b"x-conch-cache", outcome.encode()))
        if outcome is CacheOutcome.HIT:
            self.headers.append((b"age", b"%d" % (age_s or 0)))

    def saw(self, chunk: Chunk) -> None:
        """Called for every chunk, so it is cheap."""
        self.tally.add(chunk)
        if chunk.verdicts:
            self.found(chunk.verdicts)
        if chunk.is_notice:
            # No token, and the pause before the next one says nothing of the engine's pace.
            self._last_s = time.perf_counter()
            return
        if self.listener is not None:
            self.listener(chunk)
        if self._between is None:
            return
        now_s = time.perf_counter()
        if self.first_token_s is None:
            self.first_token_s = now_s - self._began_s
            self.metrics.first_token.labels(self.model).observe(self.first_token_s)
        else:
            self._between.observe(now_s - self._last_s)
        self._last_s = now_s

    def found(self, verdicts: Iterable[Verdict]) -> None:
        """What guardrails came to; of very many the first are kept, and all are counted."""
        for verdict in verdicts:
            self.metrics.verdicts.labels(verdict.stage, verdict.action).inc()
            if len(self.verdicts) < MOST_VERDICTS:
                self.verdicts.append(verdict)

    def ended(self) -> None:
        """Counts and logs the request, once."""
        duration_s = self.age_s
        metrics = self.metrics
        metrics.in_flight.labels(self.endpoint).dec()
        metrics.requests.labels(
            self.endpoint, self.model, self._adapter_label, str(self.status), self.reason
        ).inc()
        metrics.duration.labels(self.endpoint).observe(duration_s)
        if self.model:
            self._count_tokens()
        self._log(duration_s)

    def _count_tokens(self) -> None:
        of = self.model, self._adapter_label
        self.metrics.prompt_tokens.labels(*of).inc(self.tally.prompt_tokens)
        self.metrics.completion_tokens.labels(*of).inc(self.tally.completion_tokens)
        if self.reason == Cancelled.code:
            self.metrics.cancelled.labels(self.model).inc()

    def _log(self, duration_s: float) -> None:
        tell = log.debug if self.endpoint in PROBES else log.info
        first_s = self.first_token_s
        tell(
            "request_ended",
            endpoint=self.endpoint,
            model=self.model,
            adapter=self.adapter,
            priority=self.priority,
            status=self.status,
            reason=self.reason,
            duration_ms=round(duration_s * 1e3, 1),
            first_token_ms=None if first_s is None else round(first_s * 1e3, 1),
            prompt_tokens=self.tally.prompt_tokens,
            completion_tokens=self.tally.completion_tokens,
            **({} if self.cache is None else {"cache": self.cache}),
            **self._found(),
        )

    def _found(self) -> dict[str, Any]:
        """Without what is nothing: most requests give no reason to any verdict."""
        return {"verdicts": [asdict(each) for each in self.verdicts]} if self.verdicts else {}
