"""Server-sent events: the constant bytes of a stream are made once, an event adds only its own."""

import asyncio
from typing import Any

import orjson
from starlette.types import Send

DONE = b"data: [DONE]\n\n"
HEAD: list[tuple[bytes, bytes]] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


class Frame:
    """What stands around the choices in every event of one answer."""

    __slots__ = ("_after", "_before")

    def __init__(self, envelope: dict[str, Any], *, has_usage_event: bool) -> None:
        self._before = b"data: " + orjson.dumps(envelope)[:-1] + b',"choices":['
        # Where a usage event will come, the others say that they are not it.
        self._after = b'],"usage":null}\n\n' if has_usage_event else b"]}\n\n"

    def around(self, before: bytes, after: bytes) -> tuple[bytes, bytes]:
        """The constant bytes before and after the text of a choice."""
        return self._before + before, after + self._after

    def choice(self, choice: dict[str, Any]) -> bytes:
        return self._before + orjson.dumps(choice) + self._after

    def usage(self, usage: dict[str, Any]) -> bytes:
        return self._before + b'],"usage":' + orjson.dumps(usage) + b"}\n\n"


class EventStream:
    """The response. Its head waits for the first event: until then it can be an error instead."""

    __slots__ = ("_last_s", "_loop", "_send", "_turn", "is_open")

    def __init__(self, send: Send) -> None:
        self.is_open = False
        self._send = send
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time()

    @property
    def is_sending(self) -> bool:
        """A client that reads slowly is one that this waits for."""
        return self._turn.locked()

    @property
    def quiet_s(self) -> float:
        """Seconds since the last was sent, or since the beginning."""
        return self._loop.time() - self._last_s

    async def push(self, data: bytes) -> None:
        """Several may push: each as a whole, in turn."""
        async with self._turn:
            if not self.is_open:
                await self._send({"type": "http.response.start", "status": 200, "headers": HEAD})
                self.is_open = True
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
            self._last_s = self._loop.time()

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
