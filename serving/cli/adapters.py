"""`conch adapters`: the LoRA adapters of a model, changed while it serves."""

import asyncio
import time
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any

import orjson
import typer

from serving.adapters.triton import connect
from serving.cli.connection import layout
from serving.cli.shown import AsJson, field, print_json, show, show_fields
from serving.cli.terminal import output
from serving.contract import control
from serving.contract.control import Operation
from serving.contract.errors import ConchError
from serving.contract.grant import DEFAULT_LIFETIME_S, Grant, sign
from serving.settings.base import load
from serving.settings.secret_files import first_line, read_secret
from serving.stack import state
from serving.stack.errors import StackError
from serving.stack.inputs import GRANT_KEY, TRUST
from serving.stack.probe import reachable
from serving.stack.settings import TritonSettings

PATIENCE_S = 120.0
HEARTBEAT_S = 10.0
OPERATOR = "operator"

Name = Annotated[str, typer.Argument(metavar="NAME")]
Folder = Annotated[
    str,
    typer.Argument(metavar="PATH", help="A PEFT folder, or one with model.lora_weights.npy."),
]
OfModel = Annotated[
    str | None, typer.Option("--model", help="The base model; by default the stack's own.")
]
adapters = typer.Typer(no_args_is_help=True, help="LoRA adapters, changed while the model serves.")

COLUMNS = {
    "adapter": field("name"),
    "version": field("version"),
    "rank": field("rank"),
    "pinned": field("is_pinned"),
    "in the engine": field("is_resident"),
    "task id": field("task_id"),
}
COUNTS = {name: field(name) for name in ("adapter", "hits", "misses", "reloads")}


@adapters.command("list")
def list_(model: OfModel = None, as_json: AsJson = False) -> None:
    """The adapters of a model; `<model>:<adapter>` is what clients ask for."""
    show(_told(model, Operation(control.LIST))["adapters"], COLUMNS, as_json=as_json)


@adapters.command()
def add(name: Name, path: Folder, model: OfModel = None, as_json: AsJson = False) -> None:
    """Convert a folder and serve it under NAME; one of that name is replaced by a new version."""
    _show_one(model, Operation(control.ADD, name, _on_tritons_machine(path)), as_json=as_json)


@adapters.command()
def remove(name: Name, model: OfModel = None) -> None:
    """Serve it no more; requests that run end as they began."""
    _told(model, Operation(control.REMOVE, name))
    output.print(f"{name} is removed", markup=False)


@adapters.command()
def pin(name: Name, model: OfModel = None, as_json: AsJson = False) -> None:
    """Load it, and use it now and then so that the engine keeps it; load it again when lost."""
    _show_one(model, Operation(control.PIN, name), as_json=as_json)


@adapters.command()
def unpin(name: Name, model: OfModel = None, as_json: AsJson = False) -> None:
    """Let the engine drop it when others are wanted more."""
    _show_one(model, Operation(control.UNPIN, name), as_json=as_json)


@adapters.command()
def warm(name: Name, model: OfModel = None, as_json: AsJson = False) -> None:
    """Load it into the engine now, before the first request does."""
    _show_one(model, Operation(control.WARM, name), as_json=as_json)


@adapters.command()
def stats(model: OfModel = None, as_json: AsJson = False) -> None:
    """What became of requests with adapters since the model was loaded."""
    told = _told(model, Operation(control.STATS))
    if as_json:
        print_json(told)
        return
    by_adapter = told.pop("by_adapter")
    show_fields(told, as_json=False)
    if by_adapter:
        rows = [{"adapter": name, **counts} for name, counts in by_adapter.items()]
        show(rows, COUNTS, as_json=False)


def _show_one(model: str | None, operation: Operation, *, as_json: bool) -> None:
    show(_told(model, operation), COLUMNS, as_json=as_json)


def _told(model: str | None, operation: Operation) -> Any:
    """What the model answers. Raises StackError in its words."""
    address, served = _triton()
    try:
        return orjson.loads(asyncio.run(_operate(address, model or served, operation)))
    except ConchError as error:
        raise StackError(error.message) from error


async def _operate(address: str, model: str, operation: Operation) -> str:
    request_id = f"conch-{token_hex(8)}"
    expires_at = time.time() + DEFAULT_LIFETIME_S
    grant = Grant(request_id, model, OPERATOR, expires_at, can_control=True)
    refusal = None
    async with connect(address, timeout_s=PATIENCE_S, heartbeat_s=HEARTBEAT_S) as triton:
        try:
            told = await triton.control(
                model,
                control.encode_operation(operation),
                grant=sign(grant, _grant_key()),
                request_id=request_id,
            )
        except ConchError as error:
            refusal, told = error, None  # raised here it would leave as a group
    if refusal is not None:
        raise refusal
    if told is None:
        raise StackError(f"'{model}' at {address} takes no operations; `conch status` lists models")
    return told


def _triton() -> tuple[str, str]:
    """Where its gRPC is, and the model that the stack serves. Raises StackError."""
    here = layout()
    running = state.running(here)
    if running is None:
        raise StackError(f"no stack is running in {here.root}; `conch up` starts one")
    settings = load(TritonSettings)
    if settings.url is not None:
        return settings.url, running.model
    ports = next((part.ports for part in running.parts if part.name == "triton"), {})
    if "grpc" not in ports:
        raise StackError("the stack has no Triton of its own; set TRITON_URL as for `conch up`")
    return f"{reachable(settings.host)}:{ports['grpc']}", running.model


def _grant_key() -> bytes:
    """The stack's own, unless the operator gave one. Raises BadSettings."""
    given = read_secret(GRANT_KEY)
    file = layout().secret(TRUST[GRANT_KEY])
    return (given or first_line(file, str(file))).encode()


def _on_tritons_machine(path: str) -> str:
    """Its Triton may be on another machine, where the path means something else."""
    return path if load(TritonSettings).url is not None else str(Path(path).resolve())
