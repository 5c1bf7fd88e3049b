"""What the gateway tells of a request and of itself. Never prompts, answers or keys."""

import logging
import sys
import time
from dataclasses import dataclass, field

import orjson
import structlog
from prometheus_client import Histogram

from gateway.metrics import Metrics
from gateway.settings import GatewaySettings
from gateway.tally import Tally
from serving.contract.calls import Chunk
from serving.contract.errors import Cancelled

log: structlog.stdlib.BoundLogger = structlog.get_logger("gateway")

PROBES = ("health", "metrics")


@dataclass(slots=True)
class Record:
    """What is known of one request, from its first byte to its last."""

    metrics: Metrics
    endpoint: str
    request_id: str
    model: str = ""
    status: int = 0
    reason: str = ""
    tally: Tally = field(default_factory=Tally)
    first_token_s: float | None = None
    _began_s: float = field(default_factory=time.perf_counter)
    _last_s: float = 0.0
    _between: Histogram | None = None

    def began(self) -> None:
        self.metrics.in_flight.labels(self.endpoint).inc()

    def routed(self, model: str, tally: Tally, *, is_streamed: bool) -> None:
        self.model, self.tally = model, tally
        # An answer that comes whole has no first token that a client could see.
        self._between = self.metrics.between_tokens.labels(model) if is_streamed else None

    def saw(self, chunk: Chunk) -> None:
        """Called for every chunk, so it is cheap."""
        self.tally.add(chunk)
        if self._between is None:
            return
        now_s = time.perf_counter()
        if self.first_token_s is None:
            self.first_token_s = now_s - self._began_s
            self.metrics.first_token.labels(self.model).observe(self.first_token_s)
        else:
            self._between.observe(now_s - self._last_s)
        self._last_s = now_s

    def ended(self) -> None:
        """Counts and logs the request, once."""
        duration_s = time.perf_counter() - self._began_s
        metrics = self.metrics
        metrics.in_flight.labels(self.endpoint).dec()
        metrics.requests.labels(self.endpoint, self.model, str(self.status), self.reason).inc()
        metrics.duration.labels(self.endpoint).observe(duration_s)
        if self.model:
            self._count_tokens()
        self._log(duration_s)

    def _count_tokens(self) -> None:
        self.metrics.prompt_tokens.labels(self.model).inc(self.tally.prompt_tokens)
        self.metrics.completion_tokens.labels(self.model).inc(self.tally.completion_tokens)
        if self.reason == Cancelled.code:
            self.metrics.cancelled.labels(self.model).inc()

    def _log(self, duration_s: float) -> None:
        tell = log.debug if self.endpoint in PROBES else log.info
        first_s = self.first_token_s
        tell(
            "request_ended",
            endpoint=self.endpoint,
            model=self.model,
            status=self.status,
            reason=self.reason,
            duration_ms=round(duration_s * 1e3, 1),
            first_token_ms=None if first_s is None else round(first_s * 1e3, 1),
            prompt_tokens=self.tally.prompt_tokens,
            completion_tokens=self.tally.completion_tokens,
        )


def set_up_logs(settings: GatewaySettings) -> None:
    """One line an event on stdout; the libraries' own logs take the same way."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_formatter(settings.log_format, shared))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)


def _formatter(
    log_format: str, shared: list[structlog.types.Processor]
) -> structlog.stdlib.ProcessorFormatter:
    last: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if log_format == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    )
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=[drop, *last], foreign_pre_chain=shared)


def _json(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
