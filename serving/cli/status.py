"""`conch status`: the parts of the running stack and the models its Triton has loaded."""

import asyncio
import time

import httpx
import typer
from rich.table import Table

from serving.cli.connection import layout
from serving.cli.shown import clock
from serving.cli.terminal import output
from serving.stack import repository, state
from serving.stack.part import Health
from serving.stack.state import PartState, StackState


def status() -> None:
    """Show the parts and the models; exit code 0 when all parts are ready."""
    here = layout()
    running = state.running(here)
    if running is None:
        output.print(f"no stack is running in {here.root}; `conch up` starts one")
        raise typer.Exit(1)
    output.print(_parts(running))
    output.print(_models(running))
    for part in running.parts:
        if part.trouble:
            output.print(f"{part.name}: {part.trouble}", style="yellow", markup=False)
    output.print(f"{running.model} at {running.base_url}, supervisor pid {running.pid}")
    output.print(f"control plane at {running.control_url}")
    if not running.is_ready or any(part.health != Health.READY for part in running.parts):
        raise typer.Exit(1)


def _parts(running: StackState) -> Table:
    table = Table("part", "health", "pid", "up", "restarts", "ports", box=None, pad_edge=False)
    for part in running.parts:
        ports = " ".join(f"{name}:{port}" for name, port in part.ports.items())
        pid = "-" if part.pid is None else str(part.pid)
        table.add_row(part.name, part.health, pid, _uptime(part), str(part.restarts), ports)
    return table


def _uptime(part: PartState) -> str:
    if part.started_at is None:
        return "-"
    return clock(time.time() - part.started_at)


def _models(running: StackState) -> Table | str:
    if running.triton_http is None:
        return "Triton is not this stack's own (TRITON_URL)"
    try:
        models = asyncio.run(_index(running.triton_http))
    except httpx.HTTPError as error:
        return f"Triton at {running.triton_http} does not answer: {error!r}"
    table = Table("model", "version", "state", box=None, pad_edge=False)
    for model in sorted(models, key=lambda model: model["name"]):
        table.add_row(model["name"], model.get("version", "-"), model.get("state", "not loaded"))
    return table


async def _index(base_url: str) -> list[dict[str, str]]:
    async with httpx.AsyncClient(base_url=base_url, trust_env=False, timeout=3) as client:
        return await repository.index(client)
