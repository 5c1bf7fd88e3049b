"""Classes, sessions, times and news of a state on the gRPC front."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from told_triton import LAST, PAUSED, RUNNING, WAITING, World, world_of
from tritonclient.grpc import InferResult
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

from gateway.kserve.server import Front, serve_grpc
from serving.adapters.triton import infer_request
from serving.contract.calls import Chunk, SequenceState, Timeouts
from serving.contract.errors import QueueFull
from serving.contract.wire import decode_chunk, single, strings

CODE = grpc.StatusCode


@asynccontextmanager
async def front(**options: Any) -> AsyncIterator[tuple[World, Any]]:
    async with (
        world_of(**options) as world,
        serve_grpc(world.gate, world.metrics, Front("127.0.0.1", 0, grace_s=0.05)) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield world, GRPCInferenceServiceStub(channel)


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[World, Any]]:
    monkeypatch.setattr("gateway.pipeline.unsigned", lambda classes: classes)
    async with front() as served:
        yield served


def asking(**arrays: Any) -> Any:
    return infer_request("demo", {"text_input": strings(["hello"]), **arrays}, "id-1")


async def streamed(stub: Any, request: Any) -> list[Any]:
    """All messages of one request."""
    stream = stub.ModelStreamInfer()
    await stream.write(request)
    await stream.done_writing()
    messages = []
    while (message := await stream.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


def chunk_of(message: Any) -> Chunk:
    result = InferResult(message.infer_response)
    names = [output.name for output in message.infer_response.outputs]
    return decode_chunk({name: result.as_numpy(name) for name in names})


async def test_inputs_say_class_session_and_times(served):
    world, stub = served
    world.triton.tell(LAST)
    request = asking(
        priority=strings(["interactive"]),
        session=strings(["s"]),
        timeout_ms=single("INT32", 5),
        ttft_timeout_ms=single("INT32", 6),
        idle_timeout_ms=single("INT32", 7),
        deadline_ms=single("INT32", 8),
    )
    metadata = (("x-priority", "batch"), ("x-session-id", "other"), ("x-timeout-ms", "9"))
    reply = stub.ModelInfer(request, metadata=metadata)
    await reply
    (call,) = world.triton.calls
    assert (call.priority, call.session) == ("interactive", "default/default/s")
    assert (call.timeouts, call.deadline_ms) == (Timeouts(5, 6, 7), 8)
    assert dict(await reply.trailing_metadata())["x-conch-priority"] == "interactive"


async def test_metadata_say_what_inputs_leave_open(served):
    world, stub = served
    world.triton.tell(LAST)
    metadata = (
        ("x-priority", "agent"),
        ("x-session-id", "s"),
        ("x-ttft-timeout-ms", "9"),
        ("x-deadline-ms", "10"),
    )
    await stub.ModelInfer(asking(timeout_ms=single("INT32", 5)), metadata=metadata)
    (call,) = world.triton.calls
    assert (call.priority, call.session) == ("agent", "default/default/s")
    assert (call.timeouts, call.deadline_ms) == (Timeouts(5, 9), 10)


async def test_a_session_may_be_a_parameter_of_the_request(served):
    world, stub = served
    world.triton.tell(LAST)
    request = asking()
    request.parameters["session"].string_param = "p"
    await stub.ModelInfer(request, metadata=(("x-session-id", "m"),))
    assert world.triton.calls[0].session == "default/default/p"


@pytest.mark.parametrize(
    ("arrays", "metadata", "named"),
    [
        ({"priority": strings(["urgent"])}, (), "[priority]"),
        ({}, (("x-priority", "urgent"),), "[X-Priority]"),
        ({"idle_timeout_ms": single("INT32", 0)}, (), "[idle_timeout_ms]"),
        ({}, (("x-idle-timeout-ms", "0"),), "[X-Idle-Timeout-Ms]"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(served, arrays, metadata, named):
    _, stub = served
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelInfer(asking(**arrays), metadata=metadata)
    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert caught.value.details().startswith(f"invalid_request{named}: ")


async def test_news_of_a_state_comes_through(served):
    world, stub = served
    world.triton.tell(
        PAUSED, RUNNING, Chunk(text="a"), WAITING, Chunk(text="b", state=SequenceState.RUNNING)
    )
    world.triton.tell(LAST)
    messages = await streamed(stub, asking(stream=single("BOOL", True)))
    told = [(chunk.text, chunk.state) for chunk in map(chunk_of, messages)]
    assert told == [
        ("", SequenceState.PAUSED),
        ("", SequenceState.RUNNING),
        ("a", None),
        ("", SequenceState.WAITING),
        ("b", SequenceState.RUNNING),
        ("z", None),
    ]


async def test_who_names_other_outputs_hears_no_news(served):
    world, stub = served
    world.triton.tell(PAUSED, RUNNING, LAST)
    request = asking(stream=single("BOOL", True))
    request.outputs.add(name="text_output")
    (message,) = await streamed(stub, request)
    assert chunk_of(message).text == "z"


async def test_plain_infer_answers_once_whatever_happens_on_the_way(served):
    world, stub = served
    world.triton.tell(PAUSED, RUNNING, WAITING, RUNNING, LAST)
    response = await stub.ModelInfer(asking())
    assert InferResult(response).as_numpy("text_output").item() == b"z"


async def test_its_time_stands_still_in_a_pause():
    async with front(request_timeout_s=0.2, paused_timeout_s=0.4) as (world, stub):
        world.triton.tell(PAUSED)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ModelInfer(asking())
        assert caught.value.code() is CODE.DEADLINE_EXCEEDED
        assert "paused for longer than 0.4 s" in caught.value.details()


def full() -> QueueFull:
    error = QueueFull("too many wait")
    error.retry_after_s = 2.3
    return error


async def test_when_to_try_again_is_beside_what_is_wrong(served):
    world, stub = served
    world.triton.tell(full())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ModelInfer(asking())
    assert caught.value.details() == "queue_full: too many wait"
    trailing = dict(caught.value.trailing_metadata())
    assert (trailing["retry-after"], trailing["retry-after-ms"]) == ("3", "2300")
    world.triton.tell(full())
    (message,) = await streamed(stub, asking())
    assert message.error_message == "queue_full: too many wait"
    assert message.infer_response.parameters["retry_after_ms"].int64_param == 2300
