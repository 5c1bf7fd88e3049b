"""Dispatch: the calls of one request to Triton, their chunks back as one stream."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from gateway.stages.grant import Signer
from gateway.stages.route import Model
from serving.adapters.triton import Triton
from serving.contract.calls import Call, Chunk
from serving.contract.task_errors import bare_errors

QUEUED_CHUNKS = 64


@asynccontextmanager
async def dispatch(
    triton: Triton,
    model: Model,
    calls: Sequence[Call],
    request_id: str,
    signer: Signer,
    *,
    concurrency: int,
) -> AsyncIterator[AsyncIterator[Chunk]]:
    """The chunks of all calls as they come; the second call's choices count on from the first's.

    At most `concurrency` calls run at a time. Leaving the block cancels those that do.
    """

    def stream(call: Call) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        triton_id = _unique(request_id)
        return triton.stream(model.name, signer.signed(call, model.name, triton_id), triton_id)

    if len(calls) == 1:
        async with stream(calls[0]) as chunks:
            yield chunks
        return
    queue: asyncio.Queue[Chunk | None] = asyncio.Queue(QUEUED_CHUNKS)
    places = asyncio.Semaphore(concurrency)

    async def pump(call: Call, first_index: int) -> None:
        async with places, stream(call) as chunks:
            async for chunk in chunks:
                await queue.put(replace(chunk, index=first_index + chunk.index))
        await queue.put(None)

    with bare_errors():
        async with asyncio.TaskGroup() as group:
            pumps = [
                group.create_task(pump(call, position * call.n))
                for position, call in enumerate(calls)
            ]
            yield _drained(queue, len(pumps))
            for task in pumps:
                task.cancel()


async def _drained(queue: asyncio.Queue[Chunk | None], pumps: int) -> AsyncIterator[Chunk]:
    while pumps:
        chunk = await queue.get()
        if chunk is None:
            pumps -= 1
        else:
            yield chunk


def _unique(request_id: str) -> str:
    # Two clients may send the same id, and Triton cancels by id.
    return f"{request_id}-{secrets.token_hex(8)}"
