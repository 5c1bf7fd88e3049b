"""Where the commands print, and how a long start looks while it goes on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from serving.stack.report import Kind, Report

output = Console(highlight=False)
errors = Console(stderr=True, soft_wrap=True)


class Progress:
    """Prints each step with the time it took; on a terminal a spinner shows the one under way."""

    def __init__(self) -> None:
        self._spinner = output.status("")
        self._step: str | None = None
        self._begun = 0.0
        self._is_up = False

    def report(self, kind: Kind, text: str) -> None:
        if kind is Kind.STEP and not self._is_up:
            self._begin(text)
        elif kind is Kind.READY:
            self.finish()
            self._is_up = True
        elif kind is Kind.NOTE:
            output.print(text, style="yellow", markup=False)

    def _begin(self, text: str) -> None:
        self.finish()
        self._step, self._begun = text, time.monotonic()
        self._spinner.update(escape(text))
        self._spinner.start()

    def finish(self) -> None:
        """Prints the step under way as done."""
        if self._step is not None:
            self.stop()
            took_s = time.monotonic() - self._begun
            output.print(f"[green]✓[/] {escape(self._step)} [dim]{took_s:.1f} s[/]")
            self._step = None

    def stop(self) -> None:
        self._spinner.stop()


@contextmanager
def progress() -> Iterator[Report]:
    """Shows what is reported inside the block."""
    shown = Progress()
    try:
        yield shown.report
    finally:
        shown.stop()
