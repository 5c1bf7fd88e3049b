"""Raw HTTP for tests of the gateway: bytes as they travel, and a link to Triton that can break."""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from waiting import allowed

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


def endless(model: str, **more: object) -> dict[str, object]:
    """A body that keeps the engine busy for longer than any test looks."""
    long = {"min_tokens": 900, "max_tokens": 900, "stream": True}
    return {"model": model, "prompt": ["a"] * 64} | long | more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def eventually(check: Callable[[], Awaitable[bool]], *, within_s: float) -> None:
    """Returns when `check` is true; TimeoutError when it never was."""
    async with asyncio.timeout(allowed(within_s)):
        while not await check():
            await asyncio.sleep(0.02)


@dataclass
class Peer:
    """An HTTP client that sees bytes."""

    url: str
    api_key: str

    def request(self, path: str, body: bytes | dict[str, Any], *headers: str) -> bytes:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [
            f"POST {path} HTTP/1.1",
            "host: gateway",
            f"authorization: Bearer {self.api_key}",
            f"content-length: {len(data)}",
            *headers,
        ]
        return "\r\n".join([*lines, "", ""]).encode() + data

    @asynccontextmanager
    async def connection(
        self, *, receive_bytes: int | None = None, source: str = "127.0.0.1"
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        where = urlsplit(self.url)
        plain = socket.socket()
        if receive_bytes is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.bind((source, 0))
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (where.hostname, where.port))
        limit = receive_bytes or 2**22
        reader, writer = await asyncio.open_connection(sock=plain, limit=limit)
        try:
            yield reader, writer
        finally:
            writer.close()


async def metric(url: str, name: str) -> float:
    """The sum of a metric's series."""
    async with httpx.AsyncClient(trust_env=False) as client:
        lines = (await client.get(url)).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def metric_in(url: str, name: str, low: float, high: float) -> Callable[[], Awaitable[bool]]:
    """A check for `eventually`."""

    async def check() -> bool:
        return low <= await metric(url, name) <= high

    return check


async def read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of one response with a content-length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


@dataclass
class Link:
    """A TCP relay to Triton that can be frozen and cut."""

    target: str
    port: int = field(default_factory=free_port)
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _flows: asyncio.Event = field(default_factory=asyncio.Event)

    async def mend(self) -> None:
        self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    def freeze(self) -> None:
        self._flows.clear()

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._flows.set()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.target.split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pipe(reader, far_writer))
                group.create_task(self._pipe(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.close()
                self._writers.discard(end)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


@asynccontextmanager
async def gateway(triton_url: str, **settings: str) -> AsyncIterator[tuple[Peer, str]]:
    """A gateway process of the test's own: its peer, and the address of its metrics.

    It is asked to end when the block does, and must do so in good order.
    """
    port, metrics_port, grpc_port = free_port(), free_port(), free_port()
    variables = {
        "GATEWAY_GOVERNED": "false",
        "GATEWAY_API_KEY": "sk-test",
        "GATEWAY_PORT": str(port),
        "GATEWAY_METRICS_PORT": str(metrics_port),
        "GATEWAY_GRPC_PORT": str(grpc_port),
        "GATEWAY_TRITON_URL": triton_url,
        **{f"GATEWAY_{name}": value for name, value in settings.items()},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", cwd=ROOT, env=os.environ | variables, stdout=DEVNULL
    )
    try:
        await eventually(lambda: _accepts(metrics_port), within_s=30)
        metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        yield Peer(f"http://127.0.0.1:{port}", "sk-test"), metrics_url
    finally:
        process.terminate()
        status = await asyncio.wait_for(process.wait(), 10)
    assert status == 0


async def _accepts(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
