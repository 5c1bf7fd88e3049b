"""What somebody who is not known yet can make a server keep in memory: a bounded head."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import uvicorn
from starlette.types import Receive, Scope, Send

from serving.web.server import MOST_HEAD_BYTES, BoundedHead

PIECE = b"a" * 16384
FAR_TOO_MANY = 64 * MOST_HEAD_BYTES // len(PIECE)


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


# A loop of its own: gRPC may leave the numbers of sockets that it closed in the one of all tests.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def port() -> AsyncIterator[int]:
    config = uvicorn.Config(
        echo, http=BoundedHead, ws="none", lifespan="off", log_config=None, port=0
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def sent_until_refused(port: int, head: bytes, piece: bytes) -> int:
    """How many bytes it took until the server hung up."""
    async with connected(port) as (reader, writer):
        writer.write(head)
        sent = 0
        hung_up = asyncio.create_task(reader.read())
        for _ in range(FAR_TOO_MANY):
            if hung_up.done():
                break
            writer.write(piece)
            sent += len(piece)
            try:
                await writer.drain()
            except ConnectionError:
                break
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await asyncio.gather(hung_up, return_exceptions=True)
    return sent


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"GET /", PIECE),
        (b"GET / HTTP/1.1\r\nx: ", PIECE),
        (b"GET / HTTP/1.1\r\n", b"".join(b"x-%d: y\r\n" % n for n in range(2000))),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;", PIECE),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ", PIECE),
        (b"", b"\r\n" * 8192),
    ],
    ids=["url", "header", "headers", "chunk extension", "trailer", "empty lines"],
)
async def test_what_never_ends_is_cut_off(port: int, head: bytes, piece: bytes) -> None:
    assert await sent_until_refused(port, head, piece) < FAR_TOO_MANY * len(piece)


@pytest.mark.parametrize("size", [0, 1, 1 << 22])
async def test_heads_as_clients_send_them_and_bodies_of_any_size_pass(port: int, size: int) -> None:
    cookies = b"cookie: " + b"c" * 16000 + b"\r\n"
    async with connected(port) as (reader, writer):
        for _ in range(2):
            head = b"POST / HTTP/1.1\r\n" + cookies + b"content-length: %d\r\n\r\n" % size
            writer.write(head + b"b" * size)
            async with asyncio.timeout(10):
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200")
                assert await reader.readexactly(len(str(size))) == str(size).encode()
