"""`conch projects`: the pieces of work of a tenant."""

from typing import Annotated, Any

import typer

from serving.cli.control import control
from serving.cli.control import project as parts
from serving.cli.limit_options import takes_limits
from serving.cli.limits import in_words
from serving.cli.shown import AsJson, field, moment, show

COLUMNS = {
    "project": field("id"),
    "name": field("name"),
    "active": field("is_active"),
    "limits": lambda item: in_words(item["limits"]),
    "log privacy": field("log_privacy"),
    "retention days": field("retention_days"),
    "guardrails": field("guardrails"),
    "cache": field("cache"),
    "made": moment("created_at"),
}
Id = Annotated[str, typer.Argument(metavar="TENANT/PROJECT")]
Name = Annotated[str | None, typer.Option(help="What people call it.")]
projects = typer.Typer(no_args_is_help=True, help="The pieces of work of a tenant.")


@projects.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    as_json: AsJson = False,
) -> None:
    """All projects."""
    with control() as api:
        show(api.each("projects", tenant=tenant), COLUMNS, as_json=as_json)


@projects.command("show")
def show_one(project: Id, as_json: AsJson = False) -> None:
    """One project."""
    with control() as api:
        show(api.get("projects", *parts(project)), COLUMNS, as_json=as_json)


@projects.command()
@takes_limits
def create(
    project: Id, name: Name = None, as_json: AsJson = False, *, limits: dict[str, Any]
) -> None:
    """Make a project; its id is chosen once."""
    body = {"id": "/".join(parts(project)), "name": name or parts(project)[1], "limits": limits}
    with control() as api:
        show(api.post("projects", body=body), COLUMNS, as_json=as_json)


@projects.command()
@takes_limits
def limit(project: Id, as_json: AsJson = False, *, limits: dict[str, Any]) -> None:
    """Set limits; those that are not named stay."""
    _change(project, limits, "limits", as_json=as_json)


@projects.command()
def change(
    project: Id,
    name: Name = None,
    log_privacy: Annotated[
        str | None, typer.Option(help="none, metadata, redacted or full.")
    ] = None,
    retention_days: Annotated[int | None, typer.Option(help="How long that is kept.")] = None,
    cache: Annotated[str | None, typer.Option(help="Answers given again: off or exact.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rename it, or set what is kept of its prompts and answers, and given again."""
    kept = {"log_privacy": log_privacy, "retention_days": retention_days, "cache": cache}
    said = {"name": name, **kept}
    body = {field: value for field, value in said.items() if value is not None}
    _change(project, body, as_json=as_json)


@projects.command()
def disable(project: Id, as_json: AsJson = False) -> None:
    """Let none of its keys and people in any more."""
    _change(project, {"is_active": False}, as_json=as_json)


@projects.command()
def enable(project: Id, as_json: AsJson = False) -> None:
    """Let them in again."""
    _change(project, {"is_active": True}, as_json=as_json)


def _change(project: str, body: dict[str, Any], *path: str, as_json: bool) -> None:
    with control() as api:
        show(api.patch("projects", *parts(project), *path, body=body), COLUMNS, as_json=as_json)
