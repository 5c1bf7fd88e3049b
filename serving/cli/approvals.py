"""`conch approvals`: calls of tools that wait for a person to approve or deny them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer

from serving.cli.connection import endpoint
from serving.cli.control import PATIENCE_S, Control, admin_key
from serving.cli.shown import AsJson, Columns, field, moment, show, show_fields

MOST = 100
Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it: call_ask_…")]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", help="Whose; needed with the key of the organisation.")
]
Reason = Annotated[str, typer.Option("--reason", help="Kept with the decision.")]
approvals = typer.Typer(no_args_is_help=True, help="Calls of tools that wait for a person.")

COLUMNS: Columns = {
    "id": field("id"),
    "since": moment("created_at"),
    "project": field("project"),
    "asked by": field("principal"),
    "tool": field("tool"),
    "arguments": lambda item: item["arguments"] + (" …" if item["is_cut"] else ""),
}


@approvals.command("list")
def list_(tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """Those that nobody has decided yet, the oldest first."""
    with _gateway(tenant) as gateway:
        found = gateway.get("approvals", limit=MOST)
    show(found["data"], COLUMNS, as_json=as_json)


@approvals.command("show")
def show_(id_: Id, tenant: OfTenant = None, as_json: AsJson = False) -> None:
    """One call, with its arguments and what became of it."""
    with _gateway(tenant) as gateway:
        show_fields(gateway.get("approvals", id_), as_json=as_json)


@approvals.command()
def approve(id_: Id, tenant: OfTenant = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let the call be made: its conversation may go on."""
    _decide(id_, tenant, {"decision": "approve", "reason": reason}, as_json=as_json)


@approvals.command()
def deny(id_: Id, tenant: OfTenant = None, reason: Reason = "", as_json: AsJson = False) -> None:
    """The conversation may only go on without the call."""
    _decide(id_, tenant, {"decision": "deny", "reason": reason}, as_json=as_json)


def _decide(id_: str, tenant: str | None, said: dict[str, Any], *, as_json: bool) -> None:
    with _gateway(tenant) as gateway:
        show_fields(gateway.post("approvals", id_, body=said), as_json=as_json)


@contextmanager
def _gateway(tenant: str | None) -> Iterator[Control]:
    """The gateway's API, with the key of who may decide; every request is about `tenant`."""
    headers = {"Authorization": f"Bearer {admin_key()}"}
    url = endpoint().base_url.removesuffix("/").removesuffix("/v1")
    with httpx.Client(
        base_url=url,
        headers=headers,
        params={} if tenant is None else {"tenant": tenant},
        timeout=PATIENCE_S,
        trust_env=False,
    ) as client:
        yield Control(client)
