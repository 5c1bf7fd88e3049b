"""The client's side of one ModelInferRequest."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from gateway.api.cache_headers import wish_of
from gateway.api.scheduling import scheduled, session_of
from gateway.ask import Ask
from gateway.kserve.ask import ask_of
from gateway.kserve.replies import Replies
from gateway.kserve.rpc import Rpc
from gateway.settings import GatewaySettings
from serving.contract.calls import Call
from serving.identity.identify import Credentials

Receive = Callable[[], Awaitable[Any]]


class GrpcCaller:
    """A client on a gRPC call. `receive` gives what it sent, which is `request` from then on."""

    def __init__(self, rpc: Rpc, receive: Receive, settings: GatewaySettings) -> None:
        self._rpc = rpc
        self._receive = receive
        self._settings = settings
        self.request: Any = None
        self._replies: Replies | None = None

    @property
    def credentials(self) -> Credentials:
        return self._rpc.credentials

    async def read(self) -> Ask:
        self.request = await self._receive()
        ask = ask_of(self.request, self._settings, is_unary=self._rpc.is_unary)
        session = ask.session or session_of(self._rpc.said)
        ask = replace(ask, session=session, cache=wish_of(self._rpc.said))
        return scheduled(ask, self._rpc.said)

    def replies_to(self, call: Call, version: str) -> Replies:
        """How the answer to what it asked is worded."""
        self._replies = Replies(self.request, call, version)
        return self._replies

    @property
    def is_answered(self) -> bool:
        return self._replies is not None and self._replies.is_complete

    @asynccontextmanager
    async def staying(self) -> AsyncIterator[None]:
        """gRPC cancels the tasks of a call whose client hangs up."""
        with self._rpc.hang_ups():
            yield
