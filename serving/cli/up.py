"""`conch up`: starts the stack here or in the background and says how to reach it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from dotenv import dotenv_values

from serving.cli.connection import layout
from serving.cli.control import URL as CONTROL_URL
from serving.cli.terminal import errors, output, progress
from serving.cli.welcome import welcome
from serving.stack.catalogue import unknown_variables
from serving.stack.errors import StackError
from serving.stack.process import last_line
from serving.stack.report import Kind, Report, from_pipe


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it is ready; leave it running.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(help="Serve this OpenVINO folder or GGUF file instead of the demo."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What clients call the model; default: after its file.")
    ] = None,
) -> None:
    """Start everything, wait for a first token and print how to use it."""
    _set("CONCH_MODEL_PATH", model)
    _set("CONCH_MODEL_NAME", name)
    for line in unknown_variables():
        errors.print(f"warning: {line}", style="yellow", markup=False, highlight=False)
    # Written by a start that ended well.
    is_first = CONTROL_URL not in dotenv_values(layout().env_file)
    with progress() as report:
        (_run_behind if detach else _run_here)(report, is_first)


def _set(variable: str, value: Path | str | None) -> None:
    if value is not None:
        os.environ[variable] = str(value)


def _run_here(report: Report, is_first: bool) -> None:
    from serving.stack.run import run  # here: who starts it in the background does not wait for it

    def told(kind: Kind, text: str) -> None:
        report(kind, text)
        if kind is Kind.READY:
            welcome("Ctrl-C stops it", is_first=is_first)

    run(told)
    output.print("stopped")


def _run_behind(report: Report, is_first: bool) -> None:
    read, write = os.pipe()
    log = layout().log_of("supervisor")
    layout().prepare()
    with log.open("ab") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", "serving.stack", str(write)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            pass_fds=(write,),
            start_new_session=True,
        )
    os.close(write)
    try:
        _follow(read, report)
    except StackError:
        child.wait()  # it has said why, and is on its way out
        raise
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise StackError("interrupted; everything that was started has been stopped") from None
    except EOFError:
        status = child.wait()
        said = f"it last said {last_line(log)!r}; see {log}"
        raise StackError(f"the supervisor ended with status {status}; {said}") from None
    welcome("`conch down` stops it", is_first=is_first)


def _follow(pipe: int, report: Report) -> None:
    """Relays what the supervisor says until it is up; EOFError when it ends without a word."""
    with os.fdopen(pipe) as lines:
        for kind, text in from_pipe(lines):
            if kind is Kind.ERROR:
                raise StackError(text)
            report(kind, text)
            if kind is Kind.READY:
                return
    raise EOFError
