"""One line an event on stdout, as JSON or for people; the libraries' own logs take the same way."""

import logging
import sys

import orjson
import structlog


def set_up_logs(*, level: str, log_format: str) -> None:
    """`log_format` is json or console."""
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
    handler.setFormatter(_formatter(log_format, shared))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def _formatter(
    log_format: str, shared: list[structlog.types.Processor]
) -> structlog.stdlib.ProcessorFormatter:
    # Neither way shows local variables: keys are among them.
    last: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if log_format == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    )
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=[drop, *last], foreign_pre_chain=shared)


def _json(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
