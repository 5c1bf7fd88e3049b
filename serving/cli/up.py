"""`conch up`: starts the stack here or in the background and says how to reach it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.connection import endpoint, layout
from serving.cli.terminal import output, progress
from serving.stack.errors import StackError
from serving.stack.process import last_line
from serving.stack.report import Kind, Report, from_pipe
from serving.stack.run import run


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
    with progress() as report:
        (_run_behind if detach else _run_here)(report)


def _set(variable: str, value: Path | str | None) -> None:
    if value is not None:
        os.environ[variable] = str(value)


def _run_here(report: Report) -> None:
    def told(kind: Kind, text: str) -> None:
        report(kind, text)
        if kind is Kind.READY:
            _print_endpoint("Ctrl-C stops it")

    run(told)
    output.print("stopped")


def _run_behind(report: Report) -> None:
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
    _print_endpoint("`conch down` stops it")


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


def _print_endpoint(how_to_stop: str) -> None:
    ready = endpoint()
    output.print(f"\nConch is serving [bold]{ready.model}[/] at [bold]{ready.base_url}[/]")
    output.print(f"  key    {ready.api_key}", soft_wrap=True, markup=False)
    output.print(f"  env    set -a; . {layout().env_file}; set +a", soft_wrap=True, markup=False)
    output.print(f"  try    {ready.curl()}", soft_wrap=True, markup=False)
    output.print(f"  stop   {how_to_stop}")
