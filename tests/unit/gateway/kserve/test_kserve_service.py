"""The front on a real socket with no Triton behind it: who is let in, and how a call goes wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
import uvloop
from tritonclient.grpc import service_pb2

from gateway.kserve.server import Front, serve_grpc
from gateway.settings import BadSettings
from serving.adapters.triton import infer_request
from serving.contract.wire import strings
from tests.kserve_front import METADATA, NOWHERE, Hosted, front, stub_of

CODE = grpc.StatusCode
SERVICE = "/inference.GRPCInferenceService"
BODY_TIMEOUT_S = 0.1
OPERATORS = (
    "ModelStatistics",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "CudaSharedMemoryRegister",
    "TraceSetting",
    "LogSettings",
)
NEEDS_KEY = ("ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig", "RepositoryIndex")


@pytest.fixture
async def hosted() -> AsyncIterator[Hosted]:
    limits = {"body_timeout_s": BODY_TIMEOUT_S, "max_body_bytes": 10_000}
    async with front(NOWHERE, **limits) as hosted:
        yield hosted


@pytest.fixture
async def stub(hosted: Hosted) -> AsyncIterator[Any]:
    async with stub_of(hosted) as stub:
        yield stub


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def call_of(stub: Any, method: str, metadata: Any = METADATA) -> Any:
    request = getattr(service_pb2, f"{method}Request")
    return await getattr(stub, method)(request(), metadata=metadata)


def hello(prompt: str = "hello") -> Any:
    return infer_request("demo", {"text_input": strings([prompt])}, "id-1")


async def test_probes_need_no_key(hosted, stub):
    assert (await call_of(stub, "ServerLive", ())).live
    assert not (await call_of(stub, "ServerReady", ())).ready
    assert hosted.sample("requests_total", endpoint="health", status="200") == 2


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer sk-other"),)])
@pytest.mark.parametrize("method", [*NEEDS_KEY, "ModelInfer"])
async def test_whoever_is_not_known_learns_nothing(stub, method, metadata):
    error = await refusal(call_of(stub, method, metadata))
    assert error.code() is CODE.UNAUTHENTICATED
    assert error.details().startswith("invalid_api_key: ")


async def test_a_stream_without_a_key_ends_before_it_is_read(hosted, stub):
    error = await refusal(stub.ModelStreamInfer().read())
    assert error.code() is CODE.UNAUTHENTICATED
    assert hosted.sample("requests_total", endpoint="grpc", reason="invalid_api_key") == 1
    assert hosted.sample("in_flight", endpoint="grpc") == 0


@pytest.mark.parametrize("method", OPERATORS)
async def test_what_is_for_operators_is_not_served(stub, method):
    error = await refusal(call_of(stub, method))
    assert error.code() is CODE.UNIMPLEMENTED
    assert "for operators" in error.details()


async def test_a_triton_that_is_away_is_unavailable(stub):
    error = await refusal(stub.ModelInfer(hello(), metadata=METADATA))
    assert (error.code(), error.details()[:11]) == (CODE.UNAVAILABLE, "unavailable")
    assert dict(error.trailing_metadata())["retry-after"] == "1"
    for method in ("ModelReady", "ModelMetadata", "ModelConfig", "RepositoryIndex"):
        assert (await refusal(call_of(stub, method))).code() is CODE.UNAVAILABLE


async def test_on_a_stream_that_is_an_error_of_the_request(stub):
    stream = stub.ModelStreamInfer(metadata=METADATA)
    for _ in range(2):
        await stream.write(hello())
        message = await stream.read()
        assert message.error_message.startswith("unavailable: ")
        assert message.infer_response.id == "id-1"
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is CODE.OK


async def test_the_request_id_is_the_clients_or_a_new_one(stub):
    async def told(request_id: str) -> str:
        request = infer_request("demo", {}, request_id)
        error = await refusal(stub.ModelInfer(request, metadata=METADATA))
        return dict(error.trailing_metadata())["x-request-id"]

    assert await told("mine-1") == "mine-1"
    for strange in ("", "é\n", "x" * 129):
        assert (await told(strange)).startswith("req_")


def bare(hosted: Hosted, method: str) -> tuple[grpc.aio.Channel, Any]:
    """A method that takes any bytes as messages."""
    channel = grpc.aio.insecure_channel(hosted.address)
    return channel, channel.stream_stream(f"{SERVICE}/{method}")(metadata=METADATA)


@pytest.mark.parametrize("method", ["ModelInfer", "ModelStreamInfer", "ModelMetadata"])
async def test_a_message_that_is_none_is_a_bad_request(hosted, method):
    channel, call = bare(hosted, method)
    async with channel:
        await call.write(b"\xff\xff\xff")
        error = await refusal(call.read())
    assert (error.code(), "not the one" in error.details()) == (CODE.INVALID_ARGUMENT, True)


async def test_a_message_that_does_not_come_is_not_waited_for(hosted):
    channel, call = bare(hosted, "ModelInfer")
    async with channel:
        error = await refusal(call.read())
    assert (error.code(), "0.1 s" in error.details()) == (CODE.INVALID_ARGUMENT, True)


async def test_a_call_without_a_message_is_a_bad_request(hosted):
    channel, call = bare(hosted, "ModelInfer")
    async with channel:
        await call.done_writing()
        error = await refusal(call.read())
    assert (error.code(), "no message" in error.details()) == (CODE.INVALID_ARGUMENT, True)


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
async def test_a_message_larger_than_allowed_is_not_taken(hosted, stub, compression):
    large = hello("a" * 100_000)
    error = await refusal(stub.ModelInfer(large, metadata=METADATA, compression=compression))
    assert (error.code(), "larger than max" in error.details()) == (CODE.RESOURCE_EXHAUSTED, True)
    assert (await call_of(stub, "ServerLive")).live


async def test_a_front_that_ends_tells_its_calls():
    async with AsyncExitStack() as channels:
        async with front(NOWHERE) as hosted:
            stub = await channels.enter_async_context(stub_of(hosted))
            idle = stub.ModelStreamInfer(metadata=METADATA)
            await idle.write(hello())
            assert (await idle.read()).error_message != ""
        error = await asyncio.wait_for(refusal(idle.read()), 5)
    assert (error.code(), "shutting down" in error.details()) == (CODE.UNAVAILABLE, True)


async def test_a_port_that_is_taken_stops_the_start(hosted):
    port = int(hosted.address.rpartition(":")[2])
    async with front(NOWHERE) as other:
        with pytest.raises(BadSettings, match=f"GATEWAY_GRPC_PORT={port}"):
            async with serve_grpc(other.gate, other.metrics, Front("127.0.0.1", port)):
                raise AssertionError("two servers on one port")


async def test_workers_can_share_a_port():
    async with front(NOWHERE, is_shared=True) as one:
        port = int(one.address.rpartition(":")[2])
        async with serve_grpc(one.gate, one.metrics, Front("127.0.0.1", port, is_shared=True)):
            pass


def test_it_serves_on_the_gateways_event_loop():
    async def live() -> bool:
        async with front(NOWHERE) as hosted, stub_of(hosted) as stub:
            return (await call_of(stub, "ServerLive", ())).live

    assert uvloop.run(live())


async def test_more_calls_than_allowed_are_refused_at_once():
    async with front(NOWHERE, max_calls=1) as hosted, stub_of(hosted) as stub:
        held = stub.ModelStreamInfer(metadata=METADATA)
        await held.write(hello())
        await held.read()
        error = await refusal(call_of(stub, "ServerLive"))
        held.cancel()
    assert error.code() is CODE.RESOURCE_EXHAUSTED


async def held(stub: Any, *more: tuple[str, str]) -> Any:
    """A call that stays open."""
    stream = stub.ModelStreamInfer(metadata=(*METADATA, *more))
    await stream.write(hello())
    await stream.read()
    return stream


async def test_one_address_has_so_many_calls_at_a_time():
    async with front(NOWHERE, connections_per_address=1) as hosted, stub_of(hosted) as stub:
        stream = await held(stub)
        for call in (call_of(stub, "ServerLive"), stub.ModelStreamInfer(metadata=METADATA).read()):
            error = await refusal(call)
            assert error.code() is CODE.RESOURCE_EXHAUSTED
            assert error.details().startswith("address_limited: ")
            assert dict(error.trailing_metadata())["retry-after"] == "1"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert (await call_of(stub, "ServerLive")).live


async def test_only_a_trusted_proxy_says_for_whom_it_asks():
    here, there = ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2")
    limits = {"connections_per_address": 1, "trusted_proxies": "127.0.0.0/8"}
    async with front(NOWHERE, **limits) as hosted, stub_of(hosted) as stub:
        await held(stub, here)
        await held(stub, there)
        error = await refusal(held(stub, here))
    assert error.details().startswith("address_limited: ")
    async with front(NOWHERE, connections_per_address=1) as hosted, stub_of(hosted) as stub:
        await held(stub, here)
        error = await refusal(held(stub, there))
    assert error.details().startswith("address_limited: ")


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"  # with empty SETTINGS


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[bool]:
    """One without a call, while the block lasts; whether the server greets it."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    is_greeted = False
    try:
        with suppress(ConnectionError, TimeoutError):
            writer.write(PREFACE)
            is_greeted = bool(await asyncio.wait_for(reader.read(1), 5))
        yield is_greeted
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_connections_without_a_call_are_bounded_too():
    async with front(NOWHERE, max_connections=2) as hosted, connection(hosted.address) as first:
        async with connection(hosted.address) as second, connection(hosted.address) as third:
            assert (first, second, third) == (True, True, False)
        async with asyncio.timeout(10):
            is_in = False
            while not is_in:
                async with connection(hosted.address) as is_in:
                    await asyncio.sleep(0.02)
