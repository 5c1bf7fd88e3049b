"""Triton over gRPC: lists the BLS models and streams the chunks of a call.

The only door to tritonclient; every error leaves as one of serving.contract.errors. It drives
tritonclient's stub itself: `stream_infer` and `as_numpy` take 1.5 times the CPU for every chunk.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import Error as ProtobufError
from tritonclient.grpc import InferResult, service_pb2
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from serving.contract.calls import Call, Chunk
from serving.contract.errors import (
    Cancelled,
    ConchError,
    EngineFailed,
    Expired,
    ModelNotFound,
    QueueFull,
    Unavailable,
    from_wire,
)
from serving.contract.lora_refusals import refusal_of
from serving.contract.task_errors import bare_errors
from serving.contract.wire import Array, decode_chunk, encode_call, single

FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    grpc.RpcError,
    grpc.FutureTimeoutError,
    grpc.FutureCancelledError,
    grpc.aio.BaseError,
    InferenceServerException,
    ProtobufError,
    asyncio.InvalidStateError,  # the call ended while it was being written to
)
_SAYS: dict[type[ConchError], str] = {
    ModelNotFound: "the model is not deployed; GET /v1/models lists what is",
    QueueFull: "too many requests wait already; try again soon",
    Expired: "the model server's time for the request was over",
    Cancelled: "the request was cancelled at the model server",
    Unavailable: "the model server cannot be reached or is not ready; try again soon",
    EngineFailed: "the model server failed on this request",
}
# Triton's own words (a stream has no status for them) -> what they mean to a client
_PHRASES: tuple[tuple[re.Pattern[str], type[ConchError]], ...] = (
    (re.compile("unknown model", re.I), ModelNotFound),
    (re.compile("maximum queue size", re.I), QueueFull),
    (re.compile("timeout expired", re.I), Expired),
    (re.compile("cancel", re.I), Cancelled),
    (
        re.compile("not ready|unavailable|stopp|exiting|shutting|stub process|version", re.I),
        Unavailable,
    ),
)
_STATUSES: dict[Any, type[ConchError]] = {
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.NOT_FOUND: ModelNotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: QueueFull,
}


@asynccontextmanager
async def connect(url: str, *, timeout_s: float, heartbeat_s: float) -> AsyncIterator["Triton"]:
    """A Triton that may come and go. One that stays silent for 2 × `heartbeat_s` counts as gone.

    gRPC's own keepalive is no way to notice that: Triton takes its pings for an attack and ends a
    stream that waits silently for its turn ("too_many_pings").
    """
    with bare_errors():
        async with (
            grpc.aio.insecure_channel(url, options=_channel_options(timeout_s)) as channel,
            asyncio.TaskGroup() as group,
        ):
            triton = Triton(channel, timeout_s=timeout_s)
            heart = group.create_task(triton.beat(heartbeat_s))
            try:
                yield triton
            finally:
                heart.cancel()


CHANNEL_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


class Triton:
    """One channel to one Triton; many streams share it."""

    def __init__(self, channel: Any, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._stub = GRPCInferenceServiceStub(channel)
        self._streams: set[Any] = set()

    async def beat(self, interval_s: float) -> None:
        """For ever: ends all streams when Triton does not answer while there are any."""
        while True:
            await asyncio.sleep(interval_s)
            if self._streams and not await self._is_live(interval_s):
                for stream in tuple(self._streams):
                    stream.cancel()

    async def _is_live(self, timeout_s: float) -> bool:
        try:
            reply = await self._stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=timeout_s)
        except grpc.RpcError:
            return False
        return bool(reply.live)

    async def ready_models(self) -> list[str]:
        """The names of all models that are ready; raises Unavailable."""
        request = service_pb2.RepositoryIndexRequest(ready=True)
        with our_errors():
            index = await self._stub.RepositoryIndex(request, timeout=self._timeout_s)
            return sorted({model.name for model in index.models})

    async def bls_models(self) -> tuple[str, ...]:
        """The names of the BLS models that are ready, and whose engine is; raises Unavailable."""
        ready = await self.ready_models()
        configs = [await self.config(name) for name in ready]
        return tuple(c.name for c in configs if _is_bls(c) and _engine_of(c) in ready)

    async def infer(self, request: Any) -> Any:
        """The one response of a model that is not decoupled. Raises ConchError."""
        with our_errors():
            call = self._stub.ModelInfer(request)
            self._streams.add(call)
            try:
                return await call
            finally:
                self._streams.discard(call)
                call.cancel()

    async def control(
        self, model: str, operation: str, *, grant: str, request_id: str
    ) -> str | None:
        """What a BLS model answers to an operation; None from one that takes none.

        It waits as long as connecting may take, and no longer. Raises ConchError.
        """
        if not _takes_operations(await self.config(model)):
            return None
        arrays = {"control": single("STRING", operation), "grant": single("STRING", grant)}
        with our_errors():
            stream = self._stub.ModelStreamInfer(timeout=self._timeout_s)
        try:
            async with aclosing(
                responses(stream, infer_request(model, arrays, request_id))
            ) as answers:
                return await _operated(answers)
        finally:
            stream.cancel()

    async def metadata(self, model: str) -> Any:
        """Triton's ModelMetadataResponse. Raises ConchError."""
        request = service_pb2.ModelMetadataRequest(name=model)
        with our_errors():
            return await self._stub.ModelMetadata(request, timeout=self._timeout_s)

    async def config(self, model: str) -> Any:
        """Triton's ModelConfig. Raises ConchError."""
        request = service_pb2.ModelConfigRequest(name=model)
        with our_errors():
            return (await self._stub.ModelConfig(request, timeout=self._timeout_s)).config

    @asynccontextmanager
    async def stream(
        self, model: str, call: Call, request_id: str
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        """The answer to `call`, chunk by chunk. Leaving the block cancels what is left of it.

        `request_id` must be unique among live requests. Iterating raises ConchError.
        """
        with our_errors():
            stream = self._stub.ModelStreamInfer()
        self._streams.add(stream)
        try:
            async with aclosing(
                _chunks(stream, infer_request(model, encode_call(call), request_id))
            ) as chunks:
                yield chunks
        finally:
            self._streams.discard(stream)
            stream.cancel()


async def responses(stream: Any, request: Any) -> AsyncGenerator[Any, None]:
    """What Triton answers to `request` on the new `stream`, up to its end. Raises ConchError."""
    with our_errors():
        await stream.write(request)
        await stream.done_writing()
        while (message := await stream.read()) is not grpc.aio.EOF:
            if message.error_message:
                raise from_text(message.error_message)
            response = message.infer_response
            if response.outputs:
                yield response
            if response.parameters["triton_final_response"].bool_param:
                return
    raise EngineFailed("the model server ended the answer before its last token")


async def _chunks(stream: Any, request: Any) -> AsyncGenerator[Chunk, None]:
    async with aclosing(responses(stream, request)) as answers:
        async for response in answers:
            yield _chunk(response)


async def _operated(answers: AsyncIterator[Any]) -> str:
    async for response in answers:
        told = InferResult(response).as_numpy("control")
        if told is not None:
            text: bytes = told.flat[0]
            return text.decode()
    raise EngineFailed("the model server ended an operation without an answer")


def _chunk(response: Any) -> Chunk:
    # Nearly every chunk is one string, and NumPy costs more than all the rest of its way.
    if len(response.outputs) == 1 and response.outputs[0].name == "text_output":
        return Chunk(text=response.raw_output_contents[0][4:].decode())
    result = InferResult(response)
    return decode_chunk({output.name: result.as_numpy(output.name) for output in response.outputs})


def infer_request(model: str, arrays: Mapping[str, Array], request_id: str) -> Any:
    """A streamed request that says when its last response has come."""
    request = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    for name, array in arrays.items():
        datatype = np_to_triton_dtype(array.dtype)
        request.inputs.add(name=name, shape=array.shape, datatype=datatype)
        request.raw_input_contents.append(raw_bytes(array))
    return request


def raw_bytes(array: Array) -> bytes:
    """Row-major bytes; strings each with their length before them."""
    if array.dtype != np.object_:
        return array.tobytes()
    return b"".join(len(item).to_bytes(4, "little") + item for item in array.flat)


def _is_bls(config: Any) -> bool:
    is_decoupled = config.model_transaction_policy.decoupled
    return is_decoupled and any(tensor.name == "messages" for tensor in config.input)


def _takes_operations(config: Any) -> bool:
    return any(tensor.name == "control" for tensor in config.input)


def _engine_of(config: Any) -> str:
    """The engine a BLS model says it stands on; the model itself when it does not say."""
    named: str = config.parameters["engine"].string_value or config.name
    return named


def _channel_options(timeout_s: float) -> list[tuple[str, int]]:
    return [
        *CHANNEL_OPTIONS,
        # A Triton that came back is found within a second.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", int(timeout_s * 1e3)),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


@contextmanager
def our_errors() -> Iterator[None]:
    """Maps everything that gRPC and tritonclient raise."""
    try:
        yield
    except FOREIGN_ERRORS as error:
        raise from_foreign(error) from error
    except asyncio.CancelledError as error:
        # gRPC also says "cancelled" when the channel closes under a call that nobody cancelled.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise _plain(Unavailable) from error


def from_foreign(error: Exception) -> ConchError:
    """Our error for one of FOREIGN_ERRORS. Its text goes no further than the log."""
    if isinstance(error, grpc.aio.AioRpcError):
        return _of_rpc(error.code(), error.details() or "")
    if isinstance(error, InferenceServerException):
        return from_text(error.message() or "")
    if isinstance(error, ProtobufError):
        return EngineFailed("the model server and the gateway do not understand one another")
    return _plain(Unavailable)


def _of_rpc(status: Any, details: str) -> ConchError:
    kind = _STATUSES.get(status)
    return from_text(details) if kind is None else from_wire(details) or _plain(kind)


def from_text(text: str) -> ConchError:
    """Our error for the text of a failed response: the one it carries, or what Triton means."""
    carried = from_wire(text) or refusal_of(text)
    if carried is not None:
        return carried
    kind = next((kind for phrase, kind in _PHRASES if phrase.search(text)), EngineFailed)
    return _plain(kind)


def _plain(kind: type[ConchError]) -> ConchError:
    return kind(_SAYS[kind], param="model" if kind is ModelNotFound else None)
