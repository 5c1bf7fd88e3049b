"""One call of a client as gRPC has it: who calls, what it sends, and whether it is still there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError

from gateway.settings import GatewaySettings
from serving.contract.errors import Cancelled, InvalidRequest, Unavailable
from serving.contract.task_errors import bare_errors
from serving.identity.addresses import client_address, networks_of
from serving.identity.identify import Credentials


class Rpc:
    """`closing` is set when the gateway ends and its last streams are to be told."""

    def __init__(
        self, context: Any, settings: GatewaySettings, closing: asyncio.Event, *, is_unary: bool
    ) -> None:
        self.context = context
        self.is_unary = is_unary
        self.is_over = False
        self._settings = settings
        self._closing = closing

    @property
    def credentials(self) -> Credentials:
        """The authorization metadata as it was sent, and the address of the client."""
        authorization = next(self._sent("authorization"), None)
        trusted = networks_of(self._settings.trusted_proxies)
        address = client_address(self._peer(), self._sent("x-forwarded-for"), trusted)
        return Credentials(None if authorization is None else authorization.encode(), address)

    def said(self, name: str) -> str | None:
        """The first metadata of that name, for all requests of the call."""
        return next(self._sent(name), None) or None

    def _sent(self, name: str) -> Iterator[str]:
        return (value for key, value in self.context.invocation_metadata() if key == name)

    def _peer(self) -> str | None:
        """`ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`; None for a socket without an address."""
        kind, _, rest = unquote(self.context.peer()).partition(":")
        if kind not in ("ipv4", "ipv6"):
            return None
        return rest.rpartition(":")[0].strip("[]")

    async def read(self) -> Any:
        """The next message, or None after the last one. Raises InvalidRequest, which ends it."""
        try:
            message = await self.context.read()
        except DecodeError:
            raise InvalidRequest("the message is not the one that this method takes") from None
        return None if message is grpc.aio.EOF else message

    async def read_one(self, within_s: float) -> Any:
        """The message of a call that has one."""
        try:
            async with asyncio.timeout(within_s):
                message = await self.read()
        except TimeoutError:
            raise InvalidRequest(f"no message arrived within {within_s:g} s") from None
        if message is None:
            raise InvalidRequest("the call has no message")
        return message

    @asynccontextmanager
    async def open(self) -> AsyncIterator[asyncio.TaskGroup]:
        """A block that ends with Unavailable when the gateway does; its tasks end with it."""
        with bare_errors():
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(self._closed())
                yield tasks
                watcher.cancel()

    async def _closed(self) -> None:
        await self._closing.wait()
        raise _closing_error()

    @contextmanager
    def hang_ups(self) -> Iterator[None]:
        """Raises Cancelled where the client hung up; Unavailable where the gateway did."""
        try:
            yield
        except asyncio.CancelledError:
            self.is_over = True
            if self._closing.is_set():
                raise _closing_error() from None
            raise Cancelled("the client hung up") from None


def _closing_error() -> Unavailable:
    return Unavailable("the gateway is shutting down; send the request again")
