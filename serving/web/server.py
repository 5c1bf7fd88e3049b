"""uvicorn's server, as a well-behaved process, and its protocol, with a bound to what it keeps."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.contract.errors import AddressLimited, ConchError
from serving.web.errors import error_headers, error_object

MOST_HEAD_BYTES = 64 * 1024


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, which by itself keeps a URL, headers and trailers of any size.

    Bytes that bring a request no further are counted: who sends more than MOST_HEAD_BYTES of them
    is turned away, whoever it is.
    """

    _pending_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        self._pending_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._pending_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._pending_bytes = 0
        super().on_message_complete()


class ConnectionLoad(Protocol):
    """What knows how many connections each address has."""

    def connected(self, address: str | None) -> None:
        """Raises AddressLimited; such a connection is not counted."""

    def disconnected(self, address: str | None) -> None: ...


class CountedConnection(BoundedHead):
    """A connection that counts for its address; one too many is told so and closed."""

    config: "CountingConfig"
    _is_counted = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        try:
            self.config.connections.connected(self.address)
            self._is_counted = True
        except AddressLimited as error:
            self.turn_away(error)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._is_counted:
            self.config.connections.disconnected(self.address)

    @property
    def address(self) -> str | None:
        return self.client[0] if self.client else None

    def turn_away(self, error: ConchError) -> None:
        body = error_object(error)
        headers = {
            "content-type": "application/json",
            **error_headers(error),
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = [f"HTTP/1.1 {error.status} ", *(": ".join(each) for each in headers.items())]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self.transport.close()


class CountingConfig(uvicorn.Config):
    """uvicorn's settings, and who counts the connections."""

    connections: ConnectionLoad


class Server(uvicorn.Server):
    """uvicorn's server, whose process ends by itself: uvicorn raises the signal anew at its end,
    which kills the process before what waits behind it has been put away.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_stopping = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.is_stopping.set()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
