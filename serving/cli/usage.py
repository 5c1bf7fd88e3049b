"""`conch usage`: what was used, by whom, and what it cost."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from serving.cli.control import control
from serving.cli.shown import AsJson, print_json
from serving.cli.terminal import output
from serving.cli.usage_report import report
from serving.stack.errors import StackError

STDOUT = "-"


def usage(
    by: Annotated[
        str,
        typer.Option(
            help="tenant, project, principal, model, adapter, endpoint, route, user, session, "
            "status or reason; up to five, with commas."
        ),
    ] = "model",
    since: Annotated[str, typer.Option(help="As 90m, 24h, 7d, 2w, or a date.")] = "7d",
    until: Annotated[str | None, typer.Option(help="The same; without it, now.")] = None,
    project: Annotated[list[str] | None, typer.Option(help="Of this project only.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Of this model only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Groups to show.")] = 20,
    csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write every request to FILE instead; - for stdout."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what was used, by what, and how that went over time."""
    if csv is not None and as_json:
        raise typer.BadParameter("--csv writes requests, --json a summary: choose one")
    span = {"since": since, "until": until, "project_ids": project, "models": model}
    with control() as api:
        if csv is None:
            summary = api.get("usage", "summary", **span, by=by, limit=limit)
        else:
            with api.pieces("usage", "export.csv", **span) as pieces, _opened(csv) as file:
                file.writelines(pieces)
            return
    if as_json:
        print_json(summary)
    else:
        output.print(report(summary))


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """The file, which is there when it is whole."""
    if name == STDOUT:
        yield sys.stdout.buffer
        return
    path, aside = Path(name), Path(f"{name}.part")
    try:
        with aside.open("wb") as file:
            yield file
        aside.replace(path)
    except OSError as error:
        raise StackError(f"cannot write {name}: {(error.strerror or str(error)).lower()}") from None
    finally:
        aside.unlink(missing_ok=True)
