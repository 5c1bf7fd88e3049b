"""The supervisor's own log file: what it reports, as structured lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from serving.stack.report import Kind, Report


@contextmanager
def logged(report: Report, path: Path) -> Iterator[Report]:
    """`report` that also writes a structured line a time to the supervisor's log."""
    with path.open("a", buffering=1) as file:
        log = structlog.wrap_logger(
            structlog.WriteLogger(file),
            processors=[
                structlog.processors.TimeStamper("iso"),
                structlog.processors.JSONRenderer(),
            ],
        )

        def both(kind: Kind, text: str) -> None:
            log.msg(kind.value, text=text)
            report(kind, text)

        yield both
