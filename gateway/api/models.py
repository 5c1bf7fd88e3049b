"""GET /v1/models and /v1/models/{id}: models, and their adapters as models with a parent."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.objects import gate_of, json_answer, presented
from gateway.gate import Gate
from gateway.stages.adapters import may_use
from gateway.stages.auth import identify
from gateway.stages.choose import not_found, served_name, split
from gateway.stages.route import Model, route
from serving.contract.errors import ConchError
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

Json = dict[str, Any]


async def list_models(request: Request) -> Response:
    gate, principal = await _admit(request)
    models = (await gate.catalogue.models()).values()
    mine = [model for model in models if principal.can_use(model.name)]
    data = [listed for model in mine async for listed in _listed(model, principal, gate)]
    data += [
        _model_object(model) for model in await _embedding(gate) if principal.can_use(model.name)
    ]
    return json_answer({"object": "list", "data": data})


async def get_model(request: Request) -> Response:
    gate, principal = await _admit(request)
    name, adapter = split(request.path_params["name"])
    models = await gate.catalogue.models()
    is_embedding = name not in models and name in {model.name for model in await _embedding(gate)}
    model = await route(name, principal, gate.embeddings if is_embedding else gate.catalogue)
    if not adapter:
        return json_answer(_model_object(model))
    found = [each for each in await _adapters(model, principal, gate) if each.name == adapter]
    if not found:
        raise not_found(name, adapter, "model")
    return json_answer(_adapter_object(model, found[0]))


async def _admit(request: Request) -> tuple[Gate, Principal]:
    gate = gate_of(request)
    return gate, await identify(presented(request), gate.gatekeeper, Permission.MODELS_READ)


async def _listed(model: Model, principal: Principal, gate: Gate) -> AsyncIterator[Json]:
    yield _model_object(model)
    with suppress(ConchError):  # a model that cannot say what adapters it has answers all the same
        for adapter in await _adapters(model, principal, gate):
            yield _adapter_object(model, adapter)


async def _embedding(gate: Gate) -> tuple[Model, ...]:
    """Those that turn texts into vectors, as far as Triton can tell."""
    with suppress(ConchError):
        return tuple((await gate.embeddings.models()).values())
    return ()


async def _adapters(model: Model, principal: Principal, gate: Gate) -> list[Model]:
    found = await gate.adapters.of(model.name)
    return [adapter for adapter in found if may_use(principal, adapter.name)]


def _model_object(model: Model) -> Json:
    return _object(model.name, model.created, root=model.name, parent=None)


def _adapter_object(model: Model, adapter: Model) -> Json:
    name = served_name(model.name, adapter.name)
    return _object(name, adapter.created, root=model.name, parent=model.name)


def _object(name: str, created: int, *, root: str, parent: str | None) -> Json:
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "conch",
        "root": root,
        "parent": parent,
    }
