"""Loads the models of a running Triton in the order they need one another, over its HTTP API."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import httpx

from serving.stack.errors import StackError

ENGINE = "_engine"
ENSEMBLE = "_ensemble"
TRACE = "\n\nAt:\n"  # what follows it is in Triton's log


def load_order(names: Iterable[str]) -> list[list[str]]:
    """Ensembles, then engines, then what calls those; the models of a tier in alphabetical order.

    Loading an ensemble loads the models it is made of, and loads them a second time where they
    were there before: two engines in memory. So ensembles come first, and what is there is skipped.
    """
    return [list(tier) for _, tier in groupby(sorted(names, key=lambda n: (_tier(n), n)), _tier)]


def _tier(name: str) -> int:
    return 0 if name.endswith(ENSEMBLE) else 1 if name.endswith(ENGINE) else 2


def without_other_bases(names: Iterable[str], base: str) -> list[str]:
    """`names` without the models around any other engine than that of `base`."""
    names = list(names)
    others = {name.removesuffix(ENGINE) for name in names if name.endswith(ENGINE)} - {base}
    return [name for name in names if _is_of(name, {base}) or not _is_of(name, others)]


def _is_of(name: str, bases: set[str]) -> bool:
    return any(name == base or name.startswith(f"{base}_") for base in bases)


async def index(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Every model of the repositories: `name`, and once it was loaded `state` and `reason`."""
    response = await client.post("/v2/repository/index")
    response.raise_for_status()
    models: list[dict[str, Any]] = response.json()
    return models


async def load(
    client: httpx.AsyncClient,
    *,
    base: str,
    is_alone: bool,
    timeout_s: float,
    on_load: Callable[[str], None],
) -> None:
    """Loads every model; with `is_alone`, none that belongs to another base model than `base`.

    Raises StackError with Triton's own reason.
    """
    try:
        names = {str(model["name"]) for model in await index(client)}
        if base not in names:
            raise StackError(f"no model '{base}' in the repository; CONCH_MODEL_NAME chooses one")
        for tier in load_order(without_other_bases(names, base) if is_alone else names):
            await _load_missing(client, tier, timeout_s, on_load)
    except httpx.TimeoutException as error:
        raise StackError(
            f"models did not load within {timeout_s:g} s; CONCH_START_TIMEOUT_S allows more"
        ) from error
    except httpx.HTTPError as error:
        raise StackError(f"triton went away while loading models ({error!r})") from error


async def _load_missing(
    client: httpx.AsyncClient, tier: list[str], timeout_s: float, on_load: Callable[[str], None]
) -> None:
    there = {model["name"] for model in await index(client) if model.get("state") == "READY"}
    missing = [name for name in tier if name not in there]
    if missing:
        on_load(", ".join(missing))
        loads = (_load_one(client, name, timeout_s) for name in missing)
        for failure in filter(None, await asyncio.gather(*loads, return_exceptions=True)):
            raise failure


async def _load_one(client: httpx.AsyncClient, name: str, timeout_s: float) -> None:
    response = await client.post(f"/v2/repository/models/{name}/load", timeout=timeout_s)
    if response.is_error:
        name, reason = await _culprit(client) or (name, _error(response))
        raise StackError(f"model '{name}' fails to load: {_told(reason)}")


async def _culprit(client: httpx.AsyncClient) -> tuple[str, str] | None:
    """The model that failed by itself, where an ensemble was refused because of it."""
    for model in await index(client):
        if model.get("state") == "UNAVAILABLE" and model.get("reason") not in (None, "unloaded"):
            return str(model["name"]), str(model["reason"])
    return None


def _error(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError):
        return response.text or f"HTTP {response.status_code}"


def _told(reason: str) -> str:
    return " ".join(reason.partition(TRACE)[0].split())
