"""Nothing of gRPC or tritonclient leaves the adapter: neither a class nor a word of its errors."""

import asyncio
import inspect
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.utils
from google.protobuf import message
from grpc._cython import cygrpc
from tritonclient.grpc import service_pb2

from serving.adapters import triton
from serving.contract import errors
from serving.contract.calls import (
    Call,
    Chunk,
    FinishReason,
    Guide,
    Sampling,
    Timings,
    TokenLogprob,
    Usage,
)
from serving.contract.errors import (
    Cancelled,
    ConchError,
    EngineFailed,
    Expired,
    ModelNotFound,
    QueueFull,
    Unavailable,
    to_wire,
)
from serving.contract.wire import decode_call, encode_call, encode_chunk

SECRET = "/opt/secret/model.py line 3"


def errors_of(module: ModuleType) -> set[type[Exception]]:
    classes = (found for _, found in inspect.getmembers(module, inspect.isclass))
    return {c for c in classes if issubclass(c, Exception) and c.__module__ != "builtins"}


FOREIGN = sorted(
    set().union(
        *map(
            errors_of,
            (grpc, grpc.aio, message, tritonclient.utils, tritonclient.grpc,
             tritonclient.grpc.aio),
        )
    ),
    key=lambda c: c.__name__,
)  # fmt: skip


def made(kind: type[Exception]) -> Exception:
    if kind is grpc.aio.AioRpcError:
        return rpc_error(grpc.StatusCode.INTERNAL, SECRET)
    return kind(SECRET)


def rpc_error(status: grpc.StatusCode, details: str) -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(status, nothing, nothing, details=details)


def test_the_list_of_foreign_errors_is_not_empty() -> None:
    names = {kind.__name__ for kind in FOREIGN}
    assert {"RpcError", "AioRpcError", "UsageError", "InferenceServerException"} <= names


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_foreign_error_becomes_ours_and_keeps_its_words_to_itself(
    kind: type[Exception],
) -> None:
    with pytest.raises(ConchError) as caught, triton.our_errors():
        raise made(kind)
    assert SECRET not in caught.value.message
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize("kind", [cygrpc.InternalError, cygrpc.UsageError, cygrpc.AbortError])
def test_errors_of_the_grpc_core_become_ours(kind: type[Exception]) -> None:
    with pytest.raises(Unavailable), triton.our_errors():
        raise kind("x")


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_every_status_becomes_ours(status: grpc.StatusCode) -> None:
    mapped = triton.from_foreign(rpc_error(status, SECRET))
    assert SECRET not in mapped.message
    assert mapped.status >= 400


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Unavailable),
        (grpc.StatusCode.NOT_FOUND, ModelNotFound),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, QueueFull),
        (grpc.StatusCode.INTERNAL, EngineFailed),
    ],
)
def test_status_says_what_it_means(status: grpc.StatusCode, kind: type[ConchError]) -> None:
    assert type(triton.from_foreign(rpc_error(status, "x"))) is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Request for unknown model: 'x' is not found", ModelNotFound),
        ("inference request for sequence exceeds maximum queue size", QueueFull),
        ("Request timeout expired", Expired),
        ("[request id: 7] cancelled", Cancelled),
        ("Stub process 'demo_0_0' is not healthy.", Unavailable),
        ("Request for unknown model: 'x' has no available versions", ModelNotFound),
        ("Server is stopping, scheduler for model 'x' has stopped accepting requests", Unavailable),
        (SECRET, EngineFailed),
        ("", EngineFailed),
    ],
)
def test_tritons_own_words(text: str, kind: type[ConchError]) -> None:
    mapped = triton.from_text(text)
    assert type(mapped) is kind
    assert text == "" or text not in mapped.message


@pytest.mark.parametrize("kind", list(errors._BY_CODE.values()), ids=lambda kind: kind.__name__)
def test_an_error_of_ours_comes_through_as_it_was(kind: type[ConchError]) -> None:
    text = f"Failed to process the request(s), message: {to_wire(kind('because', param='n'))}"
    for mapped in (
        triton.from_text(text),
        triton.from_foreign(rpc_error(grpc.StatusCode.INTERNAL, text)),
    ):
        assert (type(mapped), mapped.message, mapped.param) == (kind, "because", "n")


async def test_a_call_cancelled_by_its_task_stays_cancelled() -> None:
    async def wait() -> None:
        with triton.our_errors():
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_cancelled_by_its_channel_is_unavailable() -> None:
    with pytest.raises(Unavailable), triton.our_errors():
        raise asyncio.CancelledError


async def test_an_error_of_the_block_leaves_a_connection_as_it_was_raised() -> None:
    with pytest.raises(EngineFailed):
        async with triton.connect("127.0.0.1:9", timeout_s=1, heartbeat_s=1):
            raise EngineFailed("because")


CALLS = [
    Call(text="héllo\n", is_streamed=True),
    Call(input_ids=(1, 2, 3), n=2, is_echoed=True),
    Call(
        messages=({"role": "user", "content": "漢"},),
        sampling=Sampling(
            max_tokens=5, temperature=0.5, top_p=0.25, seed=2**64 - 1, stop=("a", "é\n")
        ),
        guide=Guide("json_schema", "{}"),
        has_logprobs=True,
        deadline_ms=1000,
    ),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_call_survives_the_way_to_triton(call: Call) -> None:
    request = triton.infer_request("m", encode_call(call), "id-1")
    assert (request.model_name, request.id) == ("m", "id-1")
    assert request.parameters["triton_enable_empty_final_response"].bool_param
    assert decode_call(arrays_of(request)) == call


def arrays_of(request: Any) -> dict[str, Any]:
    """The inputs as Triton's Python backend would show them."""
    response = service_pb2.ModelInferResponse()
    for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True):
        response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        response.raw_output_contents.append(raw)
    result = tritonclient.grpc.InferResult(response)
    return {tensor.name: result.as_numpy(tensor.name) for tensor in request.inputs}


CHUNKS = [
    Chunk(text="é漢🐚"),
    Chunk(),
    Chunk(index=3, text="x"),
    Chunk(text="x", logprobs=(TokenLogprob(7, b"\xff", -0.5),)),
    Chunk(finish_reason=FinishReason.STOP, usage=Usage(1, 2, 3), timings=Timings(1.0, 2.0, 3.0)),
]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_chunk_survives_the_way_from_triton(chunk: Chunk) -> None:
    response = service_pb2.ModelInferResponse()
    for name, array in encode_chunk(chunk, Call(n=1 + chunk.index)).items():
        datatype = tritonclient.utils.np_to_triton_dtype(array.dtype)
        response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        response.raw_output_contents.append(triton.raw_bytes(array))
    assert triton._chunk(response) == chunk


def test_raw_bytes_are_those_of_tritonclient() -> None:
    words = np.array([[b"a", b"", "é".encode()]], dtype=np.object_)
    expected = tritonclient.utils.serialize_byte_tensor(words).item()
    assert triton.raw_bytes(words) == expected
