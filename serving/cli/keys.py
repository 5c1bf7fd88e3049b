"""`conch keys`: API keys. A key is printed when it is made or rotated, and never again."""

import time
from typing import Annotated, Any

import typer

from serving.cli.control import control
from serving.cli.limit_options import seconds, takes_limits
from serving.cli.limits import in_words
from serving.cli.shown import AsJson, field, moment, print_json, show, show_fields
from serving.cli.terminal import output

COLUMNS = {
    "key": field("id"),
    "name": field("name"),
    "role": field("role"),
    "of": lambda item: item["project"] or item["tenant"] or "the organisation",
    "active": field("is_active"),
    "limits": lambda item: in_words(item["limits"]),
    "expires": moment("expires_at"),
    "last used": moment("last_used_at"),
    "made": moment("created_at"),
}
Id = Annotated[str, typer.Argument(metavar="KEY", help="Its id: ck_live_<id>_…")]
Many = list[str] | None
keys = typer.Typer(no_args_is_help=True, help="API keys.")


@keys.command("list")
def list_(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    project: Annotated[str | None, typer.Option(help="Of this project only.")] = None,
    as_json: AsJson = False,
) -> None:
    """All keys, the oldest first."""
    with control() as api:
        found = list(api.each("keys", tenant=tenant, project=project))
    show(sorted(found, key=lambda key: key["created_at"]), COLUMNS, as_json=as_json)


@keys.command("show")
def show_one(key: Id, as_json: AsJson = False) -> None:
    """One key, and all that bounds it."""
    with control() as api:
        show_fields(api.get("keys", key), as_json=as_json)


@keys.command()
@takes_limits
def create(
    name: str,
    project: Annotated[str | None, typer.Option(help="TENANT/PROJECT it works for.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant it works for.")] = None,
    role: Annotated[
        str, typer.Option(help="owner, admin, operator, developer, viewer or service.")
    ] = "service",
    scope: Annotated[Many, typer.Option(help="Permissions of the role; else all.")] = None,
    model: Annotated[Many, typer.Option(help="Models it may use; else all.")] = None,
    adapter: Annotated[Many, typer.Option(help="Adapters it may use; else all.")] = None,
    class_: Annotated[Many, typer.Option("--class", help="Classes it may use; else all.")] = None,
    tool: Annotated[Many, typer.Option(help="Tools it may use; else all.")] = None,
    cidr: Annotated[Many, typer.Option(help="Networks it may be used from; else all.")] = None,
    expires_in: Annotated[
        int | None, typer.Option(parser=seconds, metavar="SPAN", help="As in 30d.")
    ] = None,
    as_json: AsJson = False,
    *,
    limits: dict[str, Any],
) -> None:
    """Make a key and print it."""
    lists = {
        "scopes": scope,
        "models": model,
        "adapters": adapter,
        "classes": class_,
        "tools": tool,
        "cidrs": cidr,
    }
    expires_at = None if expires_in is None else time.time() + expires_in
    said = {"project": project, "tenant": tenant, "expires_at": expires_at, **lists}
    given = {field: value for field, value in said.items() if value}
    body = {"name": name, "role": role, "limits": limits, **given}
    with control() as api:
        _print(api.post("keys", body=body), as_json=as_json)


@keys.command()
@takes_limits
def limit(key: Id, as_json: AsJson = False, *, limits: dict[str, Any]) -> None:
    """Set limits; those that are not named stay."""
    with control() as api:
        show(api.patch("keys", key, "limits", body=limits), COLUMNS, as_json=as_json)


@keys.command()
def rotate(
    key: Id,
    overlap: Annotated[
        int, typer.Option(parser=seconds, metavar="SPAN", help="How long the old one stays good.")
    ] = "1d",  # type: ignore[assignment]
    as_json: AsJson = False,
) -> None:
    """Give it a new secret and print it; the id stays."""
    with control() as api:
        _print(api.post("keys", key, "rotate", body={"overlap_s": overlap}), as_json=as_json)


@keys.command()
def revoke(key: Id, as_json: AsJson = False) -> None:
    """End it for good; gateways refuse it within a second."""
    with control() as api:
        show(api.post("keys", key, "revoke"), COLUMNS, as_json=as_json)


def _print(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    show(made, COLUMNS, as_json=False)
    output.print(f"\n{made['key']}\n(shown only now)", soft_wrap=True, markup=False)
