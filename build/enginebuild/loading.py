"""A published model into the running stack, the engine before what calls it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from enginebuild.errors import BuildError
from enginebuild.publish import ENTRIES
from serving.stack import repository

TIMEOUT_S = 120.0
_BROUGHT = ("_engine", "_preprocessing", "_postprocessing")  # what an ensemble is made of


def load(url: str, name: str, models: Path, on_load: Callable[[str], None]) -> None:
    """Load or reload the models of `name` in the Triton whose HTTP API is at `url`.

    Raises BuildError with Triton's own reason.
    """
    entries = [entry for s in ENTRIES if (models / (entry := f"{name}{s}")).is_dir()]
    _run(url, lambda client: _load(client, entries, on_load))


def unload(url: str, name: str) -> None:
    """Out of memory again, what clients call first."""
    _run(url, lambda client: _unload(client, [f"{name}{s}" for s in reversed(ENTRIES)]))


def is_ready(url: str, name: str) -> bool:
    """Whether the Triton there serves the model that clients call."""
    try:
        return httpx.get(f"{url}/v2/models/{name}/ready", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _run(url: str, act: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def connected() -> None:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=TIMEOUT_S) as client:
            await act(client)

    try:
        asyncio.run(connected())
    except httpx.HTTPError as error:
        raise BuildError(f"the running triton at {url} does not answer: {error!r}") from error


async def _load(
    client: httpx.AsyncClient, entries: list[str], on_load: Callable[[str], None]
) -> None:
    for tier in await _tiers(client, entries):
        on_load(", ".join(tier))
        await asyncio.gather(*(_load_one(client, name) for name in tier))


async def _unload(client: httpx.AsyncClient, entries: list[str]) -> None:
    there = {m["name"] for m in await repository.index(client) if m.get("state") == "READY"}
    for name in filter(there.__contains__, entries):
        await client.post(f"/v2/repository/models/{name}/unload")


async def _tiers(client: httpx.AsyncClient, entries: list[str]) -> list[list[str]]:
    """New models as a start loads them: the ensemble brings what it is made of.

    Loaded ones are loaded anew without it, as it would bring every one a second time.
    """
    there = {m["name"] for m in await repository.index(client) if m.get("state") == "READY"}
    is_new = there.isdisjoint(entries)
    passed_over = _BROUGHT if is_new else (repository.ENSEMBLE,)
    return repository.load_order(e for e in entries if not e.endswith(passed_over))


async def _load_one(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post(f"/v2/repository/models/{name}/load")
    if response.is_error:
        raise BuildError(f"model '{name}' fails to load: {_reason(response)}")


def _reason(response: httpx.Response) -> str:
    try:
        told = str(response.json()["error"])
    except (ValueError, KeyError):
        told = response.text or f"HTTP {response.status_code}"
    return " ".join(told.partition(repository.TRACE)[0].split())
