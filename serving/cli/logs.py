"""`conch logs`: the ends of the parts' log files, and what is added to them."""

import os
import time
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from serving.cli.connection import layout
from serving.cli.terminal import output
from serving.stack.errors import StackError

POLL_S = 0.2


def logs(
    part: Annotated[str | None, typer.Argument(help="One part; all without it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each to show.")] = 50,
) -> None:
    """Show what the parts have logged."""
    with ExitStack() as opened, suppress(KeyboardInterrupt):
        logs = {path.stem: LogFile(path) for path in _chosen(part)}
        for name, log in logs.items():
            opened.callback(log.close)
            _print(name, log.last(lines), is_prefixed=part is None)
        while follow:
            time.sleep(POLL_S)
            for name, log in logs.items():
                _print(name, log.added(), is_prefixed=part is None)


def _chosen(part: str | None) -> list[Path]:
    folder = layout().logs
    known = sorted(folder.glob("*.log"))
    if not known:
        raise StackError(f"no logs in {folder}; `conch up` starts a stack")
    chosen = [path for path in known if part in (None, path.stem)]
    if not chosen:
        names = ", ".join(path.stem for path in known)
        raise StackError(f"no part '{part}' has logged; there are {names}")
    return chosen


def _print(name: str, lines: list[str], *, is_prefixed: bool) -> None:
    for line in lines:
        shown = f"{name} | {line}" if is_prefixed else line
        output.out(shown.rstrip("\n"), highlight=False)


class LogFile:
    """A log that is read to its end again and again, also after it was moved aside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("rb")

    def last(self, count: int) -> list[str]:
        return list(deque(self._rest(), maxlen=count))

    def added(self) -> list[str]:
        lines = self._rest()
        if self._path.exists() and self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino:
            self.close()
            self._file = self._path.open("rb")
            lines += self._rest()
        return lines

    def close(self) -> None:
        self._file.close()

    def _rest(self) -> list[str]:
        return [line.decode(errors="replace") for line in self._file]
