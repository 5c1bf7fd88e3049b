"""`conch requests`: what waits and runs in front of an engine, and how an operator steps in."""

from typing import Annotated

import typer

from serving.cli.operations import OfModel, told
from serving.cli.queue_stats import show_queue
from serving.cli.request_ids import whole
from serving.cli.request_table import Items, request_table, show_requests, show_whole
from serving.cli.request_table import watch as watch_table
from serving.cli.shown import AsJson
from serving.contract import control
from serving.contract.control import Operation, RequestItem, decode_queue, decode_requests
from serving.contract.grant import CLASSES

Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it; a start will do.")]
OrId = Annotated[str | None, typer.Argument(metavar="ID", help="As `list` shows it.")]
OfClass = Annotated[str | None, typer.Option("--class", metavar="CLASS", help=", ".join(CLASSES))]
requests = typer.Typer(no_args_is_help=True, help="Requests that wait and run, and their queue.")


@requests.command("list")
def list_(
    class_: OfClass = None,
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Every second, until Ctrl-C.")] = False,
    model: OfModel = None,
    as_json: AsJson = False,
) -> None:
    """All requests that wait, run or are paused, and why they do not run."""
    if watch and as_json:
        raise typer.BadParameter("--watch is for people, --json for machines: choose one")
    _check_class(class_)

    def chosen() -> tuple[Items, Items]:
        known = _listed(model)
        return [item for item in known if _is_of(item, class_, tenant)], known

    if watch:
        watch_table(lambda: request_table(*chosen()))
    else:
        show_requests(*chosen(), as_json=as_json)


@requests.command()
def show(request: Id, model: OfModel = None, as_json: AsJson = False) -> None:
    """All that is known of a request, sequence by sequence."""
    found, _ = _operated(control.SHOW, request, model)
    show_whole(found, as_json=as_json)


@requests.command()
def pause(
    request: OrId = None, class_: OfClass = None, model: OfModel = None, as_json: AsJson = False
) -> None:
    """Stop a request, or a class of them, until it is resumed; its tokens are kept."""
    _turn((control.PAUSE, control.PAUSE_CLASS), request, class_, model, as_json=as_json)


@requests.command()
def resume(
    request: OrId = None, class_: OfClass = None, model: OfModel = None, as_json: AsJson = False
) -> None:
    """Let what was paused go on, when its turn comes."""
    _turn((control.RESUME, control.RESUME_CLASS), request, class_, model, as_json=as_json)


@requests.command()
def cancel(request: Id, model: OfModel = None, as_json: AsJson = False) -> None:
    """End a request for good; its client is told."""
    show_requests(*_operated(control.CANCEL, request, model), as_json=as_json)


@requests.command()
def stats(model: OfModel = None, as_json: AsJson = False) -> None:
    """The queue as a whole, and what was done since the model was loaded."""
    show_queue(decode_queue(told(model, Operation(control.QUEUE))), as_json=as_json)


def _turn(
    ops: tuple[str, str],
    request: str | None,
    class_: str | None,
    model: str | None,
    *,
    as_json: bool,
) -> None:
    """The first operation on a request, or the second on a class."""
    _check_class(class_)
    if request is not None and class_ is None:
        show_requests(*_operated(ops[0], request, model), as_json=as_json)
    elif class_ is not None and request is None:
        answer = told(model, Operation(ops[1], class_name=class_))
        show_queue(decode_queue(answer), as_json=as_json)
    else:
        raise typer.BadParameter("give the id of a request, or a class with --class")


def _operated(op: str, given: str, model: str | None) -> tuple[Items, Items]:
    """What the operation was about, and all there was before it. Raises StackError."""
    known = _listed(model)
    answer = told(model, Operation(op, id=whole(given, known)))
    return decode_requests(answer), known


def _listed(model: str | None) -> Items:
    return decode_requests(told(model, Operation(control.REQUESTS)))


def _is_of(item: RequestItem, class_: str | None, tenant: str | None) -> bool:
    return class_ in (None, item.class_name) and tenant in (None, item.tenant)


def _check_class(name: str | None) -> None:
    if name is not None and name not in CLASSES:
        raise typer.BadParameter(f"'{name}' is no class; there are {', '.join(CLASSES)}")
