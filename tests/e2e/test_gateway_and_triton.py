"""What clients see of a Triton that breaks away or comes back, and of a gateway that ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.gateway_wire import (
    CHAT,
    COMPLETIONS,
    Link,
    Peer,
    endless,
    eventually,
    gateway,
    metric,
    metric_in,
    read_response,
)

HEARTBEAT_S = 0.5
CANCELLED = "conch_cancellations_total"


@dataclass
class Place:
    """A gateway of our own whose way to the real Triton we hold in hand."""

    peer: Peer
    link: Link
    metrics_url: str
    model: str

    async def is_ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"{self.peer.url}/health/ready")).status_code == 200

    async def is_not_ready(self) -> bool:
        return not await self.is_ready()


@pytest.fixture(scope="module")
async def own_gateway(stack) -> AsyncIterator[Place]:
    link = Link(stack.triton_grpc)
    settings = {"TRITON_HEARTBEAT_S": str(HEARTBEAT_S), "BODY_TIMEOUT_S": "0.5"}
    async with gateway(f"127.0.0.1:{link.port}", **settings) as (peer, metrics_url):
        yield Place(peer, link, metrics_url, stack.model)
        await link.cut()


@pytest.fixture
async def place(own_gateway) -> Place:
    await own_gateway.link.mend()
    await eventually(own_gateway.is_ready, within_s=10)
    return own_gateway


async def last_event(reader: asyncio.StreamReader) -> dict[str, dict[str, str]]:
    data = await asyncio.wait_for(reader.readuntil(b"\r\n0\r\n\r\n"), 10)
    assert b"[DONE]" not in data
    return json.loads(data.split(b"data: ")[-1].partition(b"\n")[0])


async def test_broken_link_ends_the_stream_with_an_error_and_heals_by_itself(place):
    async with place.peer.connection() as (reader, writer):
        writer.write(place.peer.request(COMPLETIONS, endless(place.model)))
        await reader.readuntil(b"data: ")
        await place.link.cut()
        event = await last_event(reader)
        assert event["error"]["code"] == "unavailable"

        writer.write(place.peer.request(COMPLETIONS, endless(place.model)))
        status, body = await asyncio.wait_for(read_response(reader), 5)
        assert (status, json.loads(body)["error"]["code"]) == (503, "unavailable")
        await eventually(place.is_not_ready, within_s=5)

        await place.link.mend()
        await eventually(place.is_ready, within_s=5)
        writer.write(
            place.peer.request(COMPLETIONS, endless(place.model, max_tokens=2, min_tokens=0))
        )
        await asyncio.wait_for(reader.readuntil(b"[DONE]"), 5)


async def test_silent_triton_is_given_up(place):
    async with place.peer.connection() as (reader, writer):
        writer.write(place.peer.request(COMPLETIONS, endless(place.model)))
        await reader.readuntil(b"data: ")
        place.link.freeze()
        event = await asyncio.wait_for(last_event(reader), 6 * HEARTBEAT_S)
        assert event["error"]["code"] == "unavailable"


async def hang_up_in_flight(place: Place, body: dict[str, object]) -> None:
    """Asks, hangs up without having read anything, and sees the request end as cancelled."""
    in_flight = 'conch_gateway_in_flight{endpoint="completions"}'
    cancelled = 'conch_gateway_cancelled_total{model="demo"}'
    before = await metric(place.metrics_url, cancelled)
    async with place.peer.connection() as (_, writer):
        writer.write(place.peer.request(COMPLETIONS, body))
        await eventually(metric_in(place.metrics_url, in_flight, 1, 1), within_s=2)
    counted = metric_in(place.metrics_url, cancelled, before + 1, before + 1)
    await eventually(counted, within_s=HEARTBEAT_S)
    assert await metric(place.metrics_url, in_flight) == 0


async def test_hanging_up_before_the_first_token_ends_the_request(place):
    place.link.freeze()
    await hang_up_in_flight(place, endless(place.model))


async def test_hanging_up_on_a_whole_answer_frees_the_engine(place, stack):
    before = await metric(stack.triton_metrics_url, CANCELLED)
    await hang_up_in_flight(place, endless(place.model, stream=False))
    counted = metric_in(stack.triton_metrics_url, CANCELLED, before + 1, 1e9)
    await eventually(counted, within_s=2)


async def test_body_that_does_not_come_is_not_waited_for(place):
    late = place.peer.request(CHAT, b"").replace(b"content-length: 0", b"content-length: 10")
    async with place.peer.connection() as (reader, writer):
        writer.write(late)
        status, body = await asyncio.wait_for(read_response(reader), 3)
    assert status == 400
    assert "did not arrive" in json.loads(body)["error"]["message"]


async def test_metrics_port_has_the_probes_and_nothing_else(place):
    base = place.metrics_url.removesuffix("/metrics")
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        statuses = [
            (await client.get(path)).status_code
            for path in ("/metrics", "/health/live", "/v1/models")
        ]
    assert statuses == [200, 200, 404]


async def test_a_gateway_that_ends_tells_its_last_streams(stack):
    async with AsyncExitStack() as connections:
        async with gateway(stack.triton_grpc) as (peer, _):
            reader, writer = await connections.enter_async_context(peer.connection())
            writer.write(peer.request(COMPLETIONS, endless(stack.model)))
            await reader.readuntil(b"data: ")
        data = await asyncio.wait_for(reader.read(), 5)
    assert b"the gateway is shutting down" in data
