"""Composition: settings in, an ASGI application out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import approvals, cache, embeddings, health, models, moderations
from gateway.api.chat import ChatReply
from gateway.api.chat_schema import chat_ask
from gateway.api.completions import CompletionReply
from gateway.api.completions_schema import completions_ask
from gateway.api.edge import Edge
from gateway.api.generation import Generation
from gateway.gate import Gate
from gateway.governance import govern
from gateway.metrics import Metrics
from gateway.settings import GatewaySettings
from gateway.stages.adapters import Adapters, list_adapters
from gateway.stages.auth import Ungoverned
from gateway.stages.route import Catalogue
from serving.adapters.triton import connect
from serving.adapters.triton_embedding import embedding_models
from serving.contract.errors import RouteNotFound
from serving.identity.addresses import AddressLoad, networks_of

PROBES = (
    Route("/health/live", health.live, methods=["GET"]),
    Route("/health/ready", health.ready, methods=["GET"]),
    Route("/metrics", health.metrics, methods=["GET"]),
)


@asynccontextmanager
async def open_gate(settings: GatewaySettings, metrics: Metrics) -> AsyncIterator[Gate]:
    """What the stages work with, for as long as the process serves."""
    load = AddressLoad(
        connections=settings.connections_per_address,
        body_bytes=settings.body_bytes_per_address,
        exempt=networks_of(settings.trusted_proxies),
    )
    async with AsyncExitStack() as opened:
        triton = await opened.enter_async_context(
            connect(
                settings.triton_url,
                timeout_s=settings.connect_timeout_s,
                heartbeat_s=settings.triton_heartbeat_s,
            )
        )
        catalogue = Catalogue(triton.bls_models)
        embedding = Catalogue(partial(embedding_models, triton))
        if not settings.governed:
            alone = Ungoverned.of(settings.key())
            yield Gate(settings, alone, catalogue, triton, load, embeddings=embedding)
            return
        gatekeeper, governance = await opened.enter_async_context(govern(settings, metrics, triton))
        adapters = Adapters(partial(list_adapters, triton, governance.grant_key))
        yield Gate(settings, gatekeeper, catalogue, triton, load, governance, adapters, embedding)


def build(gate: Gate, metrics: Metrics, *, metrics_port: int | None = None) -> ASGIApp:
    """The gateway. Requests that came in by `metrics_port` reach the probes and nothing else."""
    governance = gate.governance
    chat = Generation(chat_ask, ChatReply)
    completions = Generation(completions_ask, CompletionReply)
    api = Router(
        [
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/embeddings", embeddings.Endpoint(), methods=["POST"]),
            Route("/v1/moderations", moderations.Endpoint(), methods=["POST"]),
            *approvals.routes(None if governance is None else governance.tool_runs.approvals),
            *cache.routes(None if gate.cache is None else gate.cache.store),
            Route("/v1/models", models.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", models.get_model, methods=["GET"]),
            *PROBES,
        ],
        redirect_slashes=False,
        default=_no_such_endpoint,
    )
    probes = Router(PROBES, redirect_slashes=False, default=_no_such_endpoint)

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["gate"] = gate
        app = probes if metrics_port is not None and _port(scope) == metrics_port else api
        await app(scope, receive, send)

    return Edge(by_port, metrics)


def _port(scope: Scope) -> int | None:
    server: tuple[str, int | None] | None = scope.get("server")
    return None if server is None else server[1]


async def _no_such_endpoint(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RouteNotFound(f"no endpoint {scope['method']} {scope['path'][:128]}")
