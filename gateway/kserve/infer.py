"""ModelInfer and ModelStreamInfer: their requests through the pipeline, their answers back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.gate import Gate
from gateway.kserve.caller import GrpcCaller
from gateway.kserve.embedding import infer
from gateway.kserve.models import EXPOSED, Models
from gateway.kserve.outbox import Outbox
from gateway.kserve.recorded import recorded, rename
from gateway.kserve.replies import failed
from gateway.kserve.rpc import Rpc
from gateway.kserve.whole import whole
from gateway.metrics import Metrics
from gateway.pipeline import answer
from gateway.stages.auth import identify
from gateway.telemetry import Record
from serving.contract.errors import ConchError
from serving.contract.task_errors import bare_errors
from serving.web.request_ids import request_id

ENDPOINT = "grpc"
Put = Callable[[Any], Awaitable[None]]


class Inference:
    """`stream_requests` of one stream are answered at a time; it is read no further than that."""

    def __init__(
        self, gate: Gate, metrics: Metrics, models: Models, *, stream_requests: int
    ) -> None:
        self._gate = gate
        self._metrics = metrics
        self._models = models
        self._stream_requests = stream_requests

    async def unary(self, rpc: Rpc, record: Record) -> Any:
        """The one response to the one request of a call."""
        async with rpc.open():
            # Which model it is for decides on its path; nobody who is not known is read.
            record.identified(await identify(rpc.credentials, self._gate.gatekeeper))
            request = await rpc.read_one(self._gate.settings.body_timeout_s)
            rename(record, request.id)
            if request.model_name in EXPOSED:
                return await infer(request, rpc, record, self._gate, self._models)
            return await self._one(request, rpc, record)

    async def _one(self, request: Any, rpc: Rpc, record: Record) -> Any:
        async def receive() -> Any:
            return request

        sent: list[Any] = []

        async def put(message: Any) -> None:
            sent.append(message.infer_response)

        await self._answer(GrpcCaller(rpc, receive, self._gate.settings), record, put)
        return sent[-1]

    async def stream(self, rpc: Rpc) -> None:
        """The answers to all requests of a call, side by side; an error of one is its own."""
        await self._admit(rpc)
        places = asyncio.Semaphore(self._stream_requests)
        outbox = Outbox(rpc.context, stall_timeout_s=self._gate.settings.stall_timeout_s)
        async with rpc.open() as tasks:
            tasks.create_task(outbox.drain())
            with bare_errors():
                async with asyncio.TaskGroup() as requests:
                    await places.acquire()
                    while (request := await rpc.read()) is not None:
                        requests.create_task(self._serve(request, rpc, outbox, places))
                        await places.acquire()
            await outbox.end()

    async def _admit(self, rpc: Rpc) -> None:
        """A client that is not known is told before it is read, and counted."""
        try:
            await identify(rpc.credentials, self._gate.gatekeeper)
        except ConchError:
            async with recorded(rpc, Record(self._metrics, ENDPOINT, request_id())):
                raise

    async def _serve(
        self, request: Any, rpc: Rpc, outbox: Outbox, places: asyncio.Semaphore
    ) -> None:
        async def receive() -> Any:
            return request

        caller = GrpcCaller(rpc, receive, self._gate.settings)
        record = Record(self._metrics, ENDPOINT, request_id(request.id))
        try:
            async with recorded(rpc, record):
                await self._answer(caller, record, outbox.put)
        except ConchError as error:
            if not (rpc.is_over or caller.is_answered):
                await outbox.put(failed(request, error))
        finally:
            places.release()

    async def _answer(self, caller: GrpcCaller, record: Record, put: Put) -> None:
        async with answer(caller, record, self._gate) as given:
            asked = caller.request.model_version
            version = await self._models.version(given.model.name, asked=asked)
            replies = caller.replies_to(given.ask.calls[0], version)
            chunks = given.chunks if given.ask.is_streamed else whole(given.chunks)
            async for chunk in chunks:
                message = replies.of(chunk)
                if message is not None:
                    await put(message)
