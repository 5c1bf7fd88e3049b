"""Who is not known costs the control plane little: no database, few connections and bytes."""

import asyncio
import secrets
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from control_plane.__main__ import _config
from control_plane.app import build
from control_plane.settings import ControlSettings
from serving.contract.api_keys import new_key
from serving.identity.addresses import AddressLoad
from serving.web.server import Server

LIMITS = {"max_body_bytes": 2000, "body_timeout_s": 0.2}


class NoDatabase:
    """One that must not be asked."""

    def session(self):
        raise AssertionError("the database was asked")


def client_at(address, plane, **more):
    transport = httpx.ASGITransport(build(replace(plane, **more)), client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://control")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer"},
        {"authorization": "Bearer no-key"},
        {"authorization": "Bearer ck_live_short_secret"},
        {"cookie": "conch_session=forged"},
    ],
)
async def test_what_is_no_credential_asks_no_database(plane, headers):
    async with client_at("192.0.2.1", plane, database=NoDatabase()) as client:
        reply = await client.get("/v1/tenants", headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_an_address_that_has_guessed_enough_asks_no_database(plane):
    address = "192.0.2.2"

    def guess():
        return {"authorization": f"Bearer {new_key().text}"}

    async with client_at(address, plane) as client:
        for _ in range(10):
            assert (await client.get("/v1/me", headers=guess())).status_code == 401
    async with client_at(address, plane, database=NoDatabase()) as client:
        reply = await client.get("/v1/me", headers=guess())
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "address_limited")


async def test_a_key_that_is_known_here_works_from_such_an_address(plane, owner, owner_key):
    headers = {"authorization": f"Bearer {owner_key}"}
    assert (await owner.get("/v1/me")).status_code == 200
    async with client_at("192.0.2.3", plane) as client:
        for _ in range(12):
            await client.get("/v1/me", headers={"authorization": f"Bearer {secrets.token_hex()}"})
        assert (await client.get("/v1/me", headers=headers)).status_code == 200


@asynccontextmanager
async def served(plane, **limits):
    """The control plane on a socket of its own; its address."""
    load = AddressLoad(
        connections=limits.pop("connections", None), body_bytes=limits.pop("bytes", None)
    )
    own = replace(plane, settings=ControlSettings(**LIMITS, **limits), load=load)
    listener = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    socket = listener.sockets[0].dup()
    listener.close()
    server = Server(_config(own))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(server.serve([socket]))
        yield socket.getsockname(), load
        server.should_exit = True
        await task


async def told(address, data):
    """What comes back to these bytes, up to the end of the connection or of patience."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return (await reader.readuntil(b"}}")).decode()
    finally:
        writer.close()
        await writer.wait_closed()


async def emptied(load):
    """Until no address holds anything."""
    async with asyncio.timeout(10):
        while len(load):
            await asyncio.sleep(0.01)


def post(owner_key, length):
    return (
        "POST /v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {owner_key}\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def test_a_body_that_does_not_come_is_not_waited_for(plane, owner_key):
    async with served(plane) as (address, load):
        answer = await told(address, post(owner_key, 100) + b"{")
        assert "400" in answer.splitlines()[0]
        assert "CONTROL_BODY_TIMEOUT_S" in answer
        await emptied(load)


async def test_one_address_sends_so_many_bytes_at_a_time(plane, owner_key):
    async with served(plane, bytes=1000) as (address, load):
        answer = await told(address, post(owner_key, 1500) + b" " * 1500)
        assert "429" in answer.splitlines()[0]
        assert "address_limited" in answer
        await emptied(load)


async def test_one_address_has_so_many_connections(plane, owner_key):
    async with served(plane, connections=1) as (address, load):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200" in await reader.readline()
        answer = await told(address, b"")
        assert "429" in answer.splitlines()[0]
        assert "address_limited" in answer
        writer.close()
        await writer.wait_closed()
        await emptied(load)
