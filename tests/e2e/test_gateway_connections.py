"""Clients that hang up, dawdle, send rubbish or come in a row, on real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from tests.e2e.gateway_wire import (
    CHAT,
    COMPLETIONS,
    Peer,
    endless,
    eventually,
    metric,
    read_response,
)

RUNNING = "conch_requests_running"
CANCELLED = "conch_cancellations_total"


@pytest.fixture
def peer(stack) -> Peer:
    return Peer(stack.base_url.removesuffix("/v1"), stack.api_key)


async def is_idle(stack) -> bool:
    names = ("conch_requests_running", "conch_requests_waiting")
    return all([await metric(stack.triton_metrics_url, name) == 0 for name in names])


@asynccontextmanager
async def cancelling(stack) -> AsyncIterator[None]:
    """The block must cancel something in the engine and leave it idle."""
    before = await metric(stack.triton_metrics_url, CANCELLED)
    yield
    await eventually(partial(is_idle, stack), within_s=2)
    assert await metric(stack.triton_metrics_url, CANCELLED) > before


async def test_hanging_up_in_mid_stream_frees_the_engine(stack, peer):
    async with cancelling(stack), peer.connection() as (reader, writer):
        writer.write(peer.request(COMPLETIONS, endless(stack.model)))
        await reader.readuntil(b"data: ")


async def test_hanging_up_with_another_request_in_the_pipeline_frees_the_engine(stack, peer):
    async with cancelling(stack), peer.connection() as (reader, writer):
        writer.write(peer.request(COMPLETIONS, endless(stack.model)))
        await reader.readuntil(b"data: ")
        writer.write(peer.request(COMPLETIONS, b"{"))
        await reader.readuntil(b"data: ")


async def test_slow_reader_holds_up_nobody_and_misses_nothing(stack, peer):
    body = endless(stack.model, prompt="a")
    async with peer.connection(receive_bytes=4096) as (slow, slow_writer):
        slow_writer.write(peer.request(COMPLETIONS, body))
        await slow.readuntil(b"data: ")
        async with peer.connection() as (reader, writer):
            writer.write(peer.request(COMPLETIONS, body))
            await asyncio.wait_for(reader.readuntil(b"[DONE]"), 20)
        rest = b""
        while b"[DONE]" not in rest:
            rest += await asyncio.wait_for(slow.read(65536), 10)
        assert b'"error"' not in rest
        assert b'"finish_reason":"length"' in rest


async def test_pipelined_requests_are_answered_in_order(peer):
    bodies = [b"{", b"[]", b'{"model": 7}', b"\xff"]
    async with peer.connection() as (reader, writer):
        writer.write(b"".join(peer.request(CHAT, body) for body in bodies))
        answers = [await asyncio.wait_for(read_response(reader), 5) for _ in bodies]
    assert [status for status, _ in answers] == [400] * 4
    assert "model" in json.loads(answers[2][1])["error"]["message"]


async def test_broken_http_is_an_error_object_too(peer):
    async with peer.connection() as (reader, writer):
        writer.write(b"NONSENSE\r\n\r\n")
        status, body = await asyncio.wait_for(read_response(reader), 5)
        assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_request")
        assert await reader.read() == b""


async def test_body_of_undeclared_length_is_cut_at_the_limit(peer):
    head = peer.request(CHAT, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with peer.connection() as (reader, writer):
        writer.write(head)
        answer = asyncio.create_task(read_response(reader))
        while not answer.done():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        status, body = await answer
    assert (status, json.loads(body)["error"]["code"]) == (413, "payload_too_large")


async def test_streams_side_by_side_are_all_served(stack, peer):
    body = {"model": stack.model, "prompt": "a", "max_tokens": 32, "stream": True}

    async def one() -> bytes:
        async with peer.connection() as (reader, writer):
            writer.write(peer.request(COMPLETIONS, body))
            return await asyncio.wait_for(reader.readuntil(b"[DONE]"), 20)

    for answer in await asyncio.gather(*(one() for _ in range(32))):
        assert b'"finish_reason":"' in answer
