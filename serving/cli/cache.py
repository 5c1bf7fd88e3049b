"""`conch cache`: what the response cache holds, and how to make it forget."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import httpx
import typer

from serving.cli.connection import endpoint
from serving.cli.control import PATIENCE_S, Control, admin_key
from serving.cli.shown import AsJson, show_fields

cache = typer.Typer(no_args_is_help=True, help="The cache of answers.")


@cache.command()
def stats(as_json: AsJson = False) -> None:
    """How many answers there are, and what was done with them since the beginning."""
    with _gateway() as gateway:
        show_fields(gateway.get("cache"), as_json=as_json)


@cache.command()
def purge(
    model: Annotated[str | None, typer.Option(help="Answers of this model.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Of this adapter: MODEL:ADAPTER.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Made for this tenant.")] = None,
    project: Annotated[str | None, typer.Option(help="For this project: TENANT/PROJECT.")] = None,
    session: Annotated[str | None, typer.Option(help="In this session of the project.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give none of these answers again; they are made anew when they are asked for."""
    said = {"model": model, "adapter": adapter, "tenant": tenant, "project": project}
    body = {name: value for name, value in (said | {"session": session}).items() if value}
    with _gateway() as gateway:
        show_fields(gateway.post("cache", "purge", body=body), as_json=as_json)


@contextmanager
def _gateway() -> Iterator[Control]:
    """The gateway's API, with the key of who may purge."""
    headers = {"Authorization": f"Bearer {admin_key()}"}
    url = endpoint().base_url.removesuffix("/").removesuffix("/v1")
    with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:
        yield Control(client)
