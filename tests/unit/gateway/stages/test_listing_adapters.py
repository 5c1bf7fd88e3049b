"""Operations on a BLS model, over a real channel: what is asked, what is answered, and how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import orjson
import pytest
from structlog.testing import capture_logs
from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from gateway.stages.adapters import list_adapters
from serving.adapters.triton import Triton, connect, raw_bytes
from serving.contract.control import AdapterItem, encode_list, parse_operation
from serving.contract.errors import (
    BadGrant,
    ConchError,
    EngineFailed,
    InvalidRequest,
    Unavailable,
    to_wire,
)
from serving.contract.grant import verify
from serving.contract.wire import strings

KEY = b"k" * 32
TIMEOUT_S = 2.0
ITEMS = [AdapterItem(name, 1, "demo", 7, 8, False, False) for name in ("pirate", "terse")]
LISTED = encode_list(ITEMS).decode()


class Server(GRPCInferenceServiceServicer):
    """Speaks Triton's protocol; `answer` None: it keeps silent."""

    def __init__(self) -> None:
        self.inputs = ["text_input", "control", "grant"]
        self.answer: str | ConchError | None = LISTED
        self.outputs = ["control"]
        self.asked: list[dict[str, str]] = []
        self.ids: list[str] = []

    async def ModelConfig(self, request: Any, _: Any) -> Any:  # noqa: N802
        inputs = [model_config_pb2.ModelInput(name=name) for name in self.inputs]
        config = model_config_pb2.ModelConfig(name=request.name, input=inputs)
        return service_pb2.ModelConfigResponse(config=config)

    async def ModelStreamInfer(self, requests: Any, _: Any) -> AsyncIterator[Any]:  # noqa: N802
        async for request in requests:
            names = [tensor.name for tensor in request.inputs]
            texts = [raw[4:].decode() for raw in request.raw_input_contents]
            self.asked.append(dict(zip(names, texts, strict=True)))
            self.ids.append(request.id)
            if self.answer is None:
                await asyncio.Event().wait()
            yield self._message()

    def _message(self) -> Any:
        if isinstance(self.answer, ConchError):
            return service_pb2.ModelStreamInferResponse(error_message=to_wire(self.answer))
        message = service_pb2.ModelStreamInferResponse()
        response = message.infer_response
        response.parameters["triton_final_response"].bool_param = True
        for name in self.outputs:
            response.outputs.add(name=name, datatype="BYTES", shape=[1, 1])
            response.raw_output_contents.append(raw_bytes(strings([self.answer or ""])))
        return message


@asynccontextmanager
async def served(server: Server, *, timeout_s: float = TIMEOUT_S) -> AsyncIterator[Triton]:
    host = grpc.aio.server()
    add_GRPCInferenceServiceServicer_to_server(server, host)
    port = host.add_insecure_port("127.0.0.1:0")
    await host.start()
    try:
        async with connect(f"127.0.0.1:{port}", timeout_s=timeout_s, heartbeat_s=30) as triton:
            yield triton
    finally:
        await host.stop(None)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def triton(server: Server) -> AsyncIterator[Triton]:
    async with served(server) as triton:
        yield triton


async def test_adapters_are_asked_for_with_a_grant_for_that_alone(server, triton):
    assert await list_adapters(triton, KEY, "demo") == ("pirate", "terse")
    ((asked, request_id),) = zip(server.asked, server.ids, strict=True)
    assert asked.keys() == {"control", "grant"}
    assert parse_operation(asked["control"]).op == "adapters.list"
    grant = verify(asked["grant"], KEY, now=0)
    assert (grant.request_id, grant.model, grant.can_control) == (request_id, "demo", True)
    assert grant.adapters == grant.tools == ()


async def test_a_model_that_takes_no_operations_has_no_adapters(server, triton):
    server.inputs = ["text_input"]
    assert await triton.control("demo", "{}", grant="g", request_id="r") is None
    assert await list_adapters(triton, KEY, "demo") == ()
    assert server.asked == []


async def test_one_that_does_not_know_the_operation_has_none_either(server, triton):
    server.answer = InvalidRequest("no such operation")
    with capture_logs() as logs:
        assert await list_adapters(triton, KEY, "demo") == ()
    assert [entry["event"] for entry in logs] == ["adapters_not_listed"]


async def test_a_grant_that_is_not_taken_is_the_operators_to_mend(server, triton):
    server.answer = BadGrant("the signature is wrong")
    with capture_logs() as logs, pytest.raises(EngineFailed, match="CONCH_GRANT_KEY"):
        await list_adapters(triton, KEY, "demo")
    assert [entry["event"] for entry in logs] == ["grant_refused"]


async def test_one_that_keeps_silent_is_not_waited_for(server):
    server.answer = None
    async with asyncio.timeout(10), served(server, timeout_s=0.3) as triton:
        with pytest.raises(Unavailable):
            await list_adapters(triton, KEY, "demo")


@pytest.mark.parametrize(
    "answer", ["", "[]", '{"adapters": [{"name": "a"}]}', orjson.dumps({"data": []}).decode()]
)
async def test_an_answer_in_other_words_is_the_servers_failure(server, triton, answer):
    server.answer = answer
    with pytest.raises(EngineFailed):
        await list_adapters(triton, KEY, "demo")


async def test_an_operation_without_an_answer_has_failed(server, triton):
    server.outputs = []
    with pytest.raises(EngineFailed, match="without an answer"):
        await triton.control("demo", "{}", grant="g", request_id="r")
