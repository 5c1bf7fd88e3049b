"""GRPCInferenceService: which of its methods are served, and how a call ends in an error."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

from gateway.api.errors import as_ours
from gateway.gate import Gate
from gateway.kserve.about import About
from gateway.kserve.infer import ENDPOINT, Inference
from gateway.kserve.models import Models
from gateway.kserve.recorded import recorded
from gateway.kserve.rpc import Rpc
from gateway.kserve.status import Metadata, details_of, retry_metadata, status_of
from gateway.metrics import Metrics
from gateway.telemetry import Record, log
from serving.contract.errors import ConchError, InternalError, MethodNotAllowed
from serving.web.request_ids import request_id

_SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
HEALTH, MODELS, OTHER = "health", "grpc_models", "other"
Serve = Callable[[Rpc, Record], Awaitable[Any]]


class Service:
    """The methods by name. A unary one is a stream of one message: who calls is known before it."""

    def __init__(
        self, gate: Gate, metrics: Metrics, closing: asyncio.Event, *, stream_requests: int
    ) -> None:
        self._gate = gate
        self._metrics = metrics
        self._closing = closing
        models = Models(gate)
        about = About(gate, models)
        self._inference = Inference(gate, metrics, models, stream_requests=stream_requests)
        self._unary: dict[str, tuple[str, Serve]] = {
            "ServerLive": (HEALTH, about.live),
            "ServerReady": (HEALTH, about.ready),
            "ServerMetadata": (MODELS, about.server),
            "RepositoryIndex": (MODELS, about.index),
            "ModelReady": (MODELS, about.model_ready),
            "ModelMetadata": (MODELS, about.model),
            "ModelConfig": (MODELS, about.config),
            "ModelInfer": (ENDPOINT, self._inference.unary),
        }

    def handler(self) -> Any:
        """What a gRPC server takes."""
        methods = {method.name: self._method(method) for method in _SERVICE.methods}
        return grpc.method_handlers_generic_handler(_SERVICE.full_name, methods)

    def _method(self, method: Any) -> Any:
        parse = getattr(service_pb2, method.input_type.name).FromString
        if method.name == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(self._stream, parse, _serialized)
        endpoint, serve = self._unary.get(method.name, (OTHER, _refuse))
        return grpc.stream_unary_rpc_method_handler(
            self._answering(endpoint, serve), parse, _serialized
        )

    def _answering(self, endpoint: str, serve: Serve) -> Any:
        async def answer(_: Any, context: Any) -> Any:
            rpc = Rpc(context, self._gate.settings, self._closing, is_unary=True)
            record = Record(self._metrics, endpoint, request_id())
            try:
                async with recorded(rpc, record):
                    with self._counted(rpc):
                        response = await serve(rpc, record)
            except ConchError as error:
                await _abort(context, error, record)
                return None
            context.set_trailing_metadata(_trailing(record))
            return response

        return answer

    async def _stream(self, _: Any, context: Any) -> None:
        rpc = Rpc(context, self._gate.settings, self._closing, is_unary=False)
        try:
            with self._counted(rpc):
                await self._inference.stream(rpc)
        except Exception as exception:
            error = as_ours(exception)
            if isinstance(error, InternalError):
                log.error("stream_failed", exc_info=exception)
            await _abort(context, error)

    @contextmanager
    def _counted(self, rpc: Rpc) -> Iterator[None]:
        """A call is to its address what a connection of the REST API is. Raises AddressLimited."""
        address, load = rpc.credentials.address, self._gate.load
        load.connected(address)
        try:
            yield
        finally:
            load.disconnected(address)


async def _refuse(_rpc: Rpc, _record: Record) -> Any:
    raise MethodNotAllowed(
        "this method is for operators: the gateway does not serve it, Triton's own port does"
    )


async def _abort(context: Any, error: ConchError, record: Record | None = None) -> None:
    trailing = () if record is None else _trailing(record)
    # gRPC notices by itself whom it cannot tell, and which call has been aborted.
    with suppress(grpc.aio.BaseError):
        await context.abort(
            status_of(error), details_of(error), (*trailing, *retry_metadata(error))
        )


def _trailing(record: Record) -> Metadata:
    """What the REST API has in its headers."""
    limits = ((name.decode(), value.decode()) for name, value in record.headers)
    return (*limits, ("x-request-id", record.request_id))


def _serialized(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    return data
