"""The listening side: sockets that workers share, and the HTTP protocol on them."""

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.app import build, open_gate
from gateway.gate import Gate
from gateway.kserve.server import Front, serve_grpc
from gateway.metrics import Metrics
from gateway.settings import BadSettings, GatewaySettings
from serving.contract.errors import InvalidRequest
from serving.contract.task_errors import bare_errors
from serving.web.server import CountedConnection, CountingConfig, Server

GRACE_S = 1
BACKLOG = 2048
# Longer than clients keep an idle connection, so that it is they who close it.
KEEP_ALIVE_S = 75


class Connection(CountedConnection):
    """uvicorn's protocol, with OpenAI errors for broken HTTP, and no hang-up unnoticed.

    uvicorn tells only the newest request of a connection that its client is gone. When a client has
    pipelined another one behind a stream, the stream would go on to nobody.
    """

    _serving: RequestResponseCycle | None = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._serving is not None and not self._serving.response_complete:
            self._serving.disconnected = True
            self._serving.message_event.set()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 -- for text/plain
        if self._serving is None or self._serving.response_complete:
            self.turn_away(InvalidRequest("this is not a valid HTTP request"))
        else:
            self.transport.close()


def listen(port: int, settings: GatewaySettings, *, is_shared: bool) -> socket.socket:
    """A listening socket; what is set here, accepted connections inherit. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with ExitStack() as on_failure:
        listener = on_failure.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(is_shared))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A client that takes nothing for so long is as good as gone: the kernel hangs up.
        stall_ms = int(settings.stall_timeout_s * 1e3)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stall_ms)
        listener.bind((settings.host, port))
        listener.listen(BACKLOG)
        on_failure.pop_all()
    return listener


def _config(gate: Gate, metrics: Metrics, metrics_port: int) -> CountingConfig:
    config = CountingConfig(
        build(gate, metrics, metrics_port=metrics_port),
        http=Connection,
        ws="none",
        # GATEWAY_TRUSTED_PROXIES says who is believed; uvicorn believes all of this machine.
        proxy_headers=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.connections = gate.load
    return config


async def serve(settings: GatewaySettings) -> None:
    """Serve until SIGINT or SIGTERM; streams get GRACE_S to end by themselves.

    Raises BadSettings for a port that cannot be had, among others.
    """
    metrics = Metrics()
    with (
        _listen_for("port", settings, is_shared=True) as api,
        _listen_for("metrics_port", settings, is_shared=False) as probes,
    ):
        async with open_gate(settings, metrics) as gate:
            server = Server(_config(gate, metrics, probes.getsockname()[1]))
            with bare_errors():
                # Side by side: both have the same second to see their streams off.
                async with asyncio.TaskGroup() as fronts:
                    fronts.create_task(_serve_grpc(gate, metrics, server))
                    fronts.create_task(_serve_http(server, [api, probes]))


async def _serve_http(server: Server, listeners: list[socket.socket]) -> None:
    try:
        await server.serve(listeners)
    finally:
        server.is_stopping.set()  # however it ended, the other front must not go on alone


async def _serve_grpc(gate: Gate, metrics: Metrics, server: Server) -> None:
    settings = gate.settings
    front = Front(
        host=settings.host,
        port=settings.grpc_port,
        is_shared=True,
        stream_requests=settings.grpc_stream_requests,
        grace_s=GRACE_S,
    )
    async with serve_grpc(gate, metrics, front):
        await server.is_stopping.wait()


def _listen_for(field: str, settings: GatewaySettings, *, is_shared: bool) -> socket.socket:
    port = getattr(settings, field)
    try:
        return listen(port, settings, is_shared=is_shared)
    except OSError as error:
        raise BadSettings(f"GATEWAY_{field.upper()}={port}: {error.strerror}") from error
