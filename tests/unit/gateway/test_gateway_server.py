"""What the listening side does to a connection: small chunks leave at once."""

import asyncio
import itertools
import socket
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.server import Connection, listen, serve
from gateway.settings import BadSettings, GatewaySettings

SETTINGS = GatewaySettings(api_key="sk", stall_timeout_s=7)
PACE_S = 0.005
CHUNKS = 40


async def drip(scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(CHUNKS):
        await asyncio.sleep(PACE_S)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(drip, http=Connection, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with listen(0, SETTINGS, is_shared=True) as listener:
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup([listener])
        yield listener.getsockname()[1]
        await server.shutdown([listener])


@pytest.mark.parametrize(
    ("option", "expected"),
    [(socket.TCP_NODELAY, 1), (socket.TCP_USER_TIMEOUT, 7000)],
)
def test_accepted_sockets_inherit_what_the_listener_has(option: int, expected: int) -> None:
    with (
        listen(0, SETTINGS, is_shared=True) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, option) == expected


async def test_a_chunk_is_not_held_back_until_the_last_is_acknowledged() -> None:
    loop = asyncio.get_running_loop()
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # A client that acknowledges late, as most do: with Nagle's algorithm it reads in lumps.
        plain = writer.get_extra_info("socket")
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        times = []
        data = b""
        while b"0\r\n\r\n" not in data:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            data = await reader.read(4096)
            times.append(loop.time())
        writer.close()
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert statistics.median(gaps) < 4 * PACE_S


def test_workers_share_a_port() -> None:
    with listen(0, SETTINGS, is_shared=True) as first:
        port = first.getsockname()[1]
        with listen(port, SETTINGS, is_shared=True) as second:
            assert second.getsockname() == first.getsockname()
        with pytest.raises(OSError, match="in use"):
            listen(port, SETTINGS, is_shared=False)


async def test_taken_port_is_named_with_its_variable() -> None:
    with listen(0, SETTINGS, is_shared=False) as taken:
        port = taken.getsockname()[1]
        settings = SETTINGS.model_copy(update={"port": 0, "metrics_port": port})
        with pytest.raises(BadSettings, match=f"GATEWAY_METRICS_PORT={port}: Address already"):
            await serve(settings)


@pytest.mark.parametrize("is_governed", [False, True])
async def test_taken_port_of_the_grpc_front_is_named_too(tmp_path, monkeypatch, is_governed):
    away = {"REDIS_URL": "redis://127.0.0.1:9/0"}
    secrets = {"CONCH_KEY_PEPPER": "p" * 43, "CONCH_GRANT_KEY": "g" * 43}
    for name, value in (away | secrets).items():
        monkeypatch.setenv(name, value)
    with listen(0, SETTINGS, is_shared=False) as taken:
        ports = {"port": 0, "metrics_port": 0, "grpc_port": taken.getsockname()[1]}
        more = {"governed": is_governed, "state_dir": tmp_path}
        with pytest.raises(BadSettings, match=f"GATEWAY_GRPC_PORT={ports['grpc_port']}: "):
            await serve(SETTINGS.model_copy(update=ports | more))
