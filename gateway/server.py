"""The listening side: sockets that workers share, and the HTTP protocol on them."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.api.errors import error_object
from gateway.app import build
from gateway.settings import BadSettings, GatewaySettings
from serving.contract.errors import InvalidRequest

GRACE_S = 1
BACKLOG = 2048
# Longer than clients keep an idle connection, so that it is they who close it.
KEEP_ALIVE_S = 75


class Connection(HttpToolsProtocol):
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
            body = error_object(InvalidRequest("this is not a valid HTTP request"))
            head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(head + length + body)
        self.transport.close()


class Server(uvicorn.Server):
    """uvicorn's server, whose process ends by itself: uvicorn raises the signal anew at its end,
    which kills the process before the last streams have been told.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


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


def _config(settings: GatewaySettings, metrics_port: int) -> uvicorn.Config:
    return uvicorn.Config(
        build(settings, metrics_port=metrics_port),
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


async def serve(settings: GatewaySettings) -> None:
    """Serve until SIGINT or SIGTERM; streams get GRACE_S to end by themselves.

    Raises BadSettings for a port that cannot be had.
    """
    with (
        _listen_for("port", settings, is_shared=True) as api,
        _listen_for("metrics_port", settings, is_shared=False) as metrics,
    ):
        config = _config(settings, metrics.getsockname()[1])
        await Server(config).serve([api, metrics])


def _listen_for(field: str, settings: GatewaySettings, *, is_shared: bool) -> socket.socket:
    port = getattr(settings, field)
    try:
        return listen(port, settings, is_shared=is_shared)
    except OSError as error:
        raise BadSettings(f"GATEWAY_{field.upper()}={port}: {error.strerror}") from error
