"""What a build tells while it runs, and what shows it: a bar on a terminal, a line in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


class Told(Protocol):
    """Who hears of a build. Amounts are bytes, or whatever a step counts."""

    def begin(self, step: str) -> None: ...

    def expect(self, amount: int) -> None: ...

    def advance(self, amount: int) -> None: ...

    def done(self, step: str, told: str, took_s: float) -> None: ...

    def kept(self, step: str, told: str) -> None: ...

    def note(self, text: str) -> None: ...


class Shown:
    """Prints a line for each step that ends; while it runs there is a bar on a terminal."""

    def __init__(self, console: Console, bar: Progress) -> None:
        self._console = console
        self._bar = bar
        self._task = bar.add_task("", visible=False)

    def begin(self, step: str) -> None:
        self._bar.reset(self._task, description=step, total=None, visible=True)

    def expect(self, amount: int) -> None:
        self._bar.update(self._task, total=amount)

    def advance(self, amount: int) -> None:
        self._bar.advance(self._task, amount)

    def done(self, step: str, told: str, took_s: float) -> None:
        self._line(f"[green]✓[/] {step:<8} {escape(told)} [dim]{took_s:.1f} s[/]")

    def kept(self, step: str, told: str) -> None:
        self._line(f"[green]✓[/] {step:<8} {escape(told)} [dim]kept[/]")

    def note(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, soft_wrap=True)

    def _line(self, text: str) -> None:
        self._bar.update(self._task, visible=False)
        self._console.print(text, soft_wrap=True)


@contextmanager
def shown(console: Console) -> Iterator[Shown]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    is_seen = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not is_seen) as bar:
        yield Shown(console, bar)
