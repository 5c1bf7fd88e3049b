"""`conch adapters`: the LoRA adapters of a model, changed while it serves."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from serving.cli.operations import OfModel, told
from serving.cli.shown import AsJson, field, print_json, show, show_fields
from serving.cli.terminal import output
from serving.contract import control
from serving.contract.control import Operation
from serving.settings.base import load
from serving.stack.settings import TritonSettings

Name = Annotated[str, typer.Argument(metavar="NAME")]
Folder = Annotated[
    str,
    typer.Argument(metavar="PATH", help="A PEFT folder, or one with model.lora_weights.npy."),
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
    counts = _told(model, Operation(control.STATS))
    if as_json:
        print_json(counts)
        return
    by_adapter = counts.pop("by_adapter")
    show_fields(counts, as_json=False)
    if by_adapter:
        rows = [{"adapter": name, **of_one} for name, of_one in by_adapter.items()]
        show(rows, COUNTS, as_json=False)


def _show_one(model: str | None, operation: Operation, *, as_json: bool) -> None:
    show(_told(model, operation), COLUMNS, as_json=as_json)


def _told(model: str | None, operation: Operation) -> Any:
    return orjson.loads(told(model, operation))


def _on_tritons_machine(path: str) -> str:
    """Its Triton may be on another machine, where the path means something else."""
    return path if load(TritonSettings).url is not None else str(Path(path).resolve())
