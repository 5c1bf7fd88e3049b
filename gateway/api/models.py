"""GET /v1/models and /v1/models/{id}."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.caller import authorization
from gateway.pipeline import Gate
from gateway.stages.auth import identify
from gateway.stages.route import Model, route


async def list_models(request: Request) -> Response:
    gate = _admit(request)
    models = await gate.catalogue.models()
    return _json({"object": "list", "data": [_model_object(m) for m in models.values()]})


async def get_model(request: Request) -> Response:
    gate = _admit(request)
    await gate.catalogue.models()
    return _json(_model_object(await route(request.path_params["name"], gate.catalogue)))


def _admit(request: Request) -> Gate:
    gate: Gate = request.scope["state"]["gate"]
    identify(authorization(request.scope), gate.keys)
    return gate


def _model_object(model: Model) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": "conch"}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
