"""`conch users`: people, each known by what an issuer calls them."""

from typing import Annotated, Any

import typer

from serving.cli.control import control
from serving.cli.limit_options import takes_limits
from serving.cli.limits import in_words
from serving.cli.shown import AsJson, field, moment, show
from serving.cli.terminal import output

COLUMNS = {
    "user": field("id"),
    "email": field("email"),
    "role": field("role"),
    "of": lambda item: item["project"] or item["tenant"] or "the organisation",
    "active": field("is_active"),
    "limits": lambda item: in_words(item["limits"]),
    "issuer": field("issuer"),
    "subject": field("subject"),
    "made": moment("created_at"),
}
Id = Annotated[str, typer.Argument(metavar="USER")]
Role = Annotated[str, typer.Option(help="owner, admin, operator, developer or viewer.")]
users = typer.Typer(no_args_is_help=True, help="People, and what they are here.")


@users.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    as_json: AsJson = False,
) -> None:
    """All people that were added; those that only tokens speak of are not among them."""
    with control() as api:
        show(api.each("users", tenant=tenant), COLUMNS, as_json=as_json)


@users.command("show")
def show_one(user: Id, as_json: AsJson = False) -> None:
    """One person."""
    with control() as api:
        show(api.get("users", user), COLUMNS, as_json=as_json)


@users.command()
@takes_limits
def create(
    email: str,
    issuer: Annotated[str, typer.Option(help="Who vouches for them: `iss` of their tokens.")],
    subject: Annotated[str, typer.Option(help="What it calls them: `sub` of their tokens.")],
    role: Role = "viewer",
    tenant: Annotated[str | None, typer.Option(help="Tenant they work for.")] = None,
    project: Annotated[str | None, typer.Option(help="TENANT/PROJECT they work for.")] = None,
    as_json: AsJson = False,
    *,
    limits: dict[str, Any],
) -> None:
    """Add a person."""
    body = {
        "email": email,
        "issuer": issuer,
        "subject": subject,
        "role": role,
        "tenant": tenant,
        "project": project,
        "limits": limits,
    }
    with control() as api:
        show(api.post("users", body=body), COLUMNS, as_json=as_json)


@users.command()
@takes_limits
def limit(user: Id, as_json: AsJson = False, *, limits: dict[str, Any]) -> None:
    """Set limits; those that are not named stay."""
    with control() as api:
        show(api.patch("users", user, "limits", body=limits), COLUMNS, as_json=as_json)


@users.command()
def change(
    user: Id,
    role: Annotated[str | None, typer.Option(help="Another role.")] = None,
    email: Annotated[str | None, typer.Option(help="Another address.")] = None,
    active: Annotated[bool | None, typer.Option(help="Whether they are let in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change what a person is."""
    said = {"role": role, "email": email, "is_active": active}
    body = {field: value for field, value in said.items() if value is not None}
    with control() as api:
        show(api.patch("users", user, body=body), COLUMNS, as_json=as_json)


@users.command()
def remove(user: Id) -> None:
    """Forget a person. What tokens say of them counts again."""
    with control() as api:
        api.delete("users", user)
    output.print(f"user {user} is removed", markup=False)
