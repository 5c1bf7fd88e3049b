"""uvicorn's server, as a well-behaved process, and its protocol, with a bound to what it keeps."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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
