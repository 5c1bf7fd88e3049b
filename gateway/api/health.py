"""Probes and metrics; they need no key."""

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.gate import Gate
from gateway.telemetry import Record
from serving.contract.errors import Unavailable


async def live(_: Request) -> Response:
    """The process runs."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """A model can answer; raises Unavailable."""
    gate: Gate = request.scope["state"]["gate"]
    _ = gate.runtime  # without a policy nobody is let in
    models = await gate.catalogue.models()
    if not models:
        raise Unavailable("no model is ready")
    return JSONResponse({"status": "ready", "models": list(models)})


async def metrics(request: Request) -> Response:
    record: Record = request.scope["state"]["record"]
    data = generate_latest(record.metrics.registry)
    return Response(data, headers={"content-type": CONTENT_TYPE_LATEST})
