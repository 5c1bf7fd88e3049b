"""`conch tenants`: teams, and what they may use."""

from typing import Annotated, Any

import typer

from serving.cli.control import control
from serving.cli.limit_options import takes_limits
from serving.cli.limits import in_words
from serving.cli.shown import AsJson, field, moment, show

COLUMNS = {
    "tenant": field("id"),
    "name": field("name"),
    "active": field("is_active"),
    "limits": lambda item: in_words(item["limits"]),
    "models": lambda item: "; ".join(
        f"{model}: {in_words(limits)}" for model, limits in item["model_limits"].items()
    ),
    "guardrails": field("guardrails"),
    "made": moment("created_at"),
}
Id = Annotated[str, typer.Argument(metavar="TENANT")]
tenants = typer.Typer(no_args_is_help=True, help="Teams, and what they may use.")


@tenants.command("list")
def list_(as_json: AsJson = False) -> None:
    """All tenants."""
    with control() as api:
        show(api.each("tenants"), COLUMNS, as_json=as_json)


@tenants.command("show")
def show_one(tenant: Id, as_json: AsJson = False) -> None:
    """One tenant."""
    with control() as api:
        show(api.get("tenants", tenant), COLUMNS, as_json=as_json)


@tenants.command()
@takes_limits
def create(
    tenant: Id,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    as_json: AsJson = False,
    *,
    limits: dict[str, Any],
) -> None:
    """Make a tenant; its id is chosen once."""
    body = {"id": tenant, "name": name or tenant, "limits": limits}
    with control() as api:
        show(api.post("tenants", body=body), COLUMNS, as_json=as_json)


@tenants.command()
@takes_limits
def limit(
    tenant: Id,
    model: Annotated[str | None, typer.Option(help="Of this model only.")] = None,
    as_json: AsJson = False,
    *,
    limits: dict[str, Any],
) -> None:
    """Set limits; those that are not named stay."""
    path = ("tenants", tenant, *(("models", model) if model else ()), "limits")
    with control() as api:
        show(api.patch(*path, body=limits), COLUMNS, as_json=as_json)


@tenants.command()
def disable(tenant: Id, as_json: AsJson = False) -> None:
    """Let none of its keys and people in any more."""
    _switch(tenant, is_active=False, as_json=as_json)


@tenants.command()
def enable(tenant: Id, as_json: AsJson = False) -> None:
    """Let them in again."""
    _switch(tenant, is_active=True, as_json=as_json)


def _switch(tenant: str, *, is_active: bool, as_json: bool) -> None:
    with control() as api:
        found = api.patch("tenants", tenant, body={"is_active": is_active})
        show(found, COLUMNS, as_json=as_json)
