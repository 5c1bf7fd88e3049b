"""Sends an operator's operation to a BLS model of the stack, with a grant that allows it."""

import asyncio
import time
from secrets import token_hex
from typing import Annotated

import typer

from serving.adapters.triton import connect
from serving.cli.connection import layout
from serving.contract.control import Operation, encode_operation
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

OfModel = Annotated[
    str | None, typer.Option("--model", help="The base model; by default the stack's own.")
]


def told(model: str | None, operation: Operation) -> str:
    """What the model answers, JSON. Raises StackError in its words."""
    address, served = _triton()
    try:
        return asyncio.run(_operate(address, model or served, operation))
    except ConchError as error:
        raise StackError(error.message) from error


async def _operate(address: str, model: str, operation: Operation) -> str:
    request_id = f"conch-{token_hex(8)}"
    expires_at = time.time() + DEFAULT_LIFETIME_S
    grant = Grant(request_id, model, OPERATOR, expires_at, can_control=True)
    signed = sign(grant, _grant_key())
    said = encode_operation(operation)
    async with connect(address, timeout_s=PATIENCE_S, heartbeat_s=HEARTBEAT_S) as triton:
        answer = await triton.control(model, said, grant=signed, request_id=request_id)
    if answer is None:
        raise StackError(f"'{model}' at {address} takes no operations; `conch status` lists models")
    return answer


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
