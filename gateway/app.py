"""Composition: settings in, an ASGI application out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import health, models
from gateway.api.chat import ChatReply
from gateway.api.chat_schema import chat_ask
from gateway.api.completions import CompletionReply
from gateway.api.completions_schema import completions_ask
from gateway.api.edge import Edge
from gateway.api.generation import Generation
from gateway.metrics import Metrics
from gateway.pipeline import Gate
from gateway.settings import GatewaySettings
from gateway.stages.auth import Keyring
from gateway.stages.route import Catalogue
from serving.adapters.triton import connect
from serving.contract.errors import RouteNotFound

PROBES = (
    Route("/health/live", health.live, methods=["GET"]),
    Route("/health/ready", health.ready, methods=["GET"]),
    Route("/metrics", health.metrics, methods=["GET"]),
)


@asynccontextmanager
async def open_gate(settings: GatewaySettings) -> AsyncIterator[Gate]:
    """What the stages work with, for as long as the process serves."""
    async with connect(
        settings.triton_url,
        timeout_s=settings.connect_timeout_s,
        heartbeat_s=settings.triton_heartbeat_s,
    ) as triton:
        yield Gate(settings, Keyring.of(settings.key()), Catalogue(triton.bls_models), triton)


def build(settings: GatewaySettings, *, metrics_port: int | None = None) -> ASGIApp:
    """The gateway. Requests that came in by `metrics_port` reach the probes and nothing else."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[dict[str, Gate]]:
        async with open_gate(settings) as gate:
            yield {"gate": gate}

    chat = Generation(chat_ask, ChatReply)
    completions = Generation(completions_ask, CompletionReply)
    api = Router(
        [
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/models", models.list_models, methods=["GET"]),
            Route("/v1/models/{name:path}", models.get_model, methods=["GET"]),
            *PROBES,
        ],
        redirect_slashes=False,
        default=_no_such_endpoint,
        lifespan=lifespan,
    )
    probes = Router(PROBES, redirect_slashes=False, default=_no_such_endpoint)

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        app = probes if metrics_port is not None and _port(scope) == metrics_port else api
        await app(scope, receive, send)

    return Edge(by_port, Metrics())


def _port(scope: Scope) -> int | None:
    server: tuple[str, int | None] | None = scope.get("server")
    return None if server is None else server[1]


async def _no_such_endpoint(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RouteNotFound(f"no endpoint {scope['method']} {scope['path'][:128]}")
