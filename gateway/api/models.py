"""GET /v1/models and /v1/models/{id}."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.caller import credentials
from gateway.gate import Gate
from gateway.stages.auth import identify
from gateway.stages.route import Model, route
from serving.contract.permissions import Permission
from serving.contract.principal import Principal


async def list_models(request: Request) -> Response:
    gate, principal = await _admit(request)
    models = (await gate.catalogue.models()).values()
    mine = [_model_object(model) for model in models if principal.can_use(model.name)]
    return _json({"object": "list", "data": mine})


async def get_model(request: Request) -> Response:
    gate, principal = await _admit(request)
    await gate.catalogue.models()
    return _json(_model_object(await route(request.path_params["name"], principal, gate.catalogue)))


async def _admit(request: Request) -> tuple[Gate, Principal]:
    gate: Gate = request.scope["state"]["gate"]
    presented = credentials(request.scope, gate.settings)
    return gate, await identify(presented, gate.gatekeeper, Permission.MODELS_READ)


def _model_object(model: Model) -> dict[str, Any]:
    return {"id": model.name, "object": "model", "created": model.created, "owned_by": "conch"}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
