"""What the endpoints share that are asked for objects: who asks, what was sent, and the answer."""

from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.body import read_object
from gateway.api.caller import credentials
from gateway.api.errors import invalid
from gateway.gate import Gate
from serving.identity.identify import Credentials

B = TypeVar("B", bound=BaseModel)


def gate_of(request: Request) -> Gate:
    gate: Gate = request.scope["state"]["gate"]
    return gate


def presented(request: Request) -> Credentials:
    """What the client shows of who it is."""
    return credentials(request.scope, gate_of(request).settings)


async def sent(request: Request, schema: type[B]) -> B:
    """The body as `schema`. Raises InvalidRequest with the name of the field."""
    address = presented(request).address
    body, _ = await read_object(request.scope, request.receive, gate_of(request), address)
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise invalid(error) from None


def json_answer(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
