"""What is deployed as an engine: read from a running Triton, refused where it cannot be used."""

from typing import Any

import httpx

from serving.contract.engine_kinds import EngineKind, mismatches, parameter, recognise
from serving.stack.errors import StackError

MAX_REASONS = 5  # a line for a terminal; the first few tell what is wrong


async def check(client: httpx.AsyncClient, base: str) -> EngineKind:
    """The kind of the engine that the loaded model `base` calls.

    Raises StackError with every reason when it does not keep the engine contract.
    """
    engine = parameter(await _config(client, base), "engine")
    if engine is None:
        raise StackError(
            f"model '{base}' names no engine; add the parameter 'engine' to its config"
        )
    config = await _config(client, engine)
    try:
        kind = recognise(config)
    except ValueError as error:
        raise StackError(str(error)) from error
    _refuse(engine, kind, mismatches(config))
    return kind


def _refuse(engine: str, kind: EngineKind, reasons: tuple[str, ...]) -> None:
    if reasons:
        left = len(reasons) - MAX_REASONS
        more = f"; and {left} more" if left > 0 else ""
        raise StackError(
            f"the {kind} engine '{engine}' does not keep the engine contract: "
            + "; ".join(reasons[:MAX_REASONS])
            + more
        )


async def _config(client: httpx.AsyncClient, model: str) -> dict[str, Any]:
    try:
        response = await client.get(f"/v2/models/{model}/config")
    except httpx.HTTPError as error:
        raise StackError(f"triton went away while models were checked ({error!r})") from error
    if response.is_error:
        raise StackError(f"triton tells no config of model '{model}': {response.text}")
    config: dict[str, Any] = response.json()
    return config
