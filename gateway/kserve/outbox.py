"""The sending side of a stream: many requests answer on it, and gRPC takes one at a time."""

import asyncio
from typing import Any

import grpc

from serving.contract.errors import Cancelled

QUEUED_MESSAGES = 64


class Outbox:
    """Messages wait here for their turn; a full one holds up those who put."""

    def __init__(self, context: Any, *, stall_timeout_s: float) -> None:
        self._context = context
        self._stall_timeout_s = stall_timeout_s
        self._queue: asyncio.Queue[Any] = asyncio.Queue(QUEUED_MESSAGES)

    async def put(self, message: Any) -> None:
        await self._queue.put(message)

    async def end(self) -> None:
        """Nothing more will be put."""
        await self._queue.put(None)

    async def drain(self) -> None:
        """Sends until the end. Raises Cancelled for a client that has gone, or takes nothing."""
        while (message := await self._queue.get()) is not None:
            try:
                async with asyncio.timeout(self._stall_timeout_s):
                    await self._context.write(message)
            except TimeoutError:
                stalled = f"the client took nothing for {self._stall_timeout_s:g} s"
                raise Cancelled(stalled) from None
            except grpc.aio.BaseError:
                raise Cancelled("the client hung up") from None
