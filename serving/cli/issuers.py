"""`conch issuers`: the OpenID providers whose tokens are taken."""

from typing import Annotated, Any

import typer

from serving.cli.control import control
from serving.cli.shown import AsJson, field, show, show_fields
from serving.cli.terminal import output
from serving.stack.errors import StackError

COLUMNS = {
    "issuer": field("id"),
    "audience": field("audience"),
    "tenant": lambda item: item["tenant"] or item["tenant_claim"],
    "roles": field("roles"),
}
Id = Annotated[str, typer.Argument(metavar="URL", help="`iss` of its tokens.")]
Text = str | None
issuers = typer.Typer(no_args_is_help=True, help="OpenID providers whose tokens are taken.")


@issuers.command("list")
def list_(as_json: AsJson = False) -> None:
    """All issuers."""
    with control() as api:
        show(api.each("issuers"), COLUMNS, as_json=as_json)


@issuers.command("show")
def show_one(issuer: Id, as_json: AsJson = False) -> None:
    """One issuer."""
    with control() as api:
        show_fields(api.get("issuers", issuer), as_json=as_json)


@issuers.command()
def create(
    issuer: Id,
    audience: Annotated[str, typer.Option(help="`aud` of tokens that are for Conch.")],
    tenant: Annotated[Text, typer.Option(help="All its people are of this tenant.")] = None,
    tenant_claim: Annotated[Text, typer.Option(help="Claim that names the tenant.")] = None,
    project_claim: Annotated[Text, typer.Option(help="Claim that names the project.")] = None,
    roles_claim: Annotated[Text, typer.Option(help="Claim that lists roles.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(metavar="THEIRS=OURS", help="What a role of theirs is here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take the tokens of an OpenID provider."""
    said = {
        "tenant": tenant,
        "tenant_claim": tenant_claim,
        "project_claim": project_claim,
        "roles_claim": roles_claim,
        "roles": dict(map(_mapped, role or [])),
    }
    given: dict[str, Any] = {field: value for field, value in said.items() if value}
    with control() as api:
        found = api.post("issuers", body={"id": issuer, "audience": audience, **given})
    show_fields(found, as_json=as_json)


def _mapped(said: str) -> tuple[str, str]:
    theirs, equals, ours = said.rpartition("=")
    if not equals:
        raise StackError(f"'{said}' maps no role: say THEIRS=OURS, as in platform-admins=admin")
    return theirs, ours


@issuers.command()
def remove(issuer: Id) -> None:
    """Take its tokens no more."""
    with control() as api:
        api.delete("issuers", issuer)
    output.print(f"issuer {issuer} is removed", markup=False)
