"""The client's side of a request: what it sent, and whether it is still there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import Receive, Scope

from gateway.api.body import read_object
from gateway.api.cache_headers import wish_of
from gateway.api.scheduling import scheduled, session_of
from gateway.ask import Ask
from gateway.gate import Gate
from gateway.settings import GatewaySettings
from serving.contract.errors import Cancelled
from serving.contract.task_errors import bare_errors
from serving.identity.addresses import client_address, networks_of
from serving.identity.identify import Credentials

AskOf = Callable[[dict[str, Any], GatewaySettings], Ask]


@dataclass(frozen=True, slots=True)
class HttpCaller:
    """A client on an HTTP connection; `ask_of` makes sense of its body."""

    scope: Scope
    receive: Receive
    ask_of: AskOf
    gate: Gate

    @property
    def credentials(self) -> Credentials:
        return credentials(self.scope, self.gate.settings)

    async def read(self) -> Ask:
        body, size = await read_object(
            self.scope, self.receive, self.gate, self.credentials.address
        )
        ask = self.ask_of(body, self.gate.settings)
        session, wish = session_of(self._said), wish_of(self._said)
        ask = replace(ask, prompt_bytes=size, session=session, cache=wish)
        return scheduled(ask, self._said)

    def _said(self, header: str) -> str | None:
        value = next(_values(self.scope, header.encode()), b"")
        return value.decode("latin-1") or None

    @asynccontextmanager
    async def staying(self) -> AsyncIterator[None]:
        """The body must have been read before. Raises Cancelled as soon as the client hangs up."""
        with bare_errors():
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(self._hang_up())
                yield
                watcher.cancel()

    async def _hang_up(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        raise Cancelled("the client hung up")


def credentials(scope: Scope, settings: GatewaySettings) -> Credentials:
    """The Authorization header as it was sent, and the address of the client that sent it."""
    authorization = next(_values(scope, b"authorization"), None)
    client: tuple[str, int] | None = scope.get("client")
    address = None if client is None else client[0]
    if settings.trusted_proxies:
        trusted = networks_of(settings.trusted_proxies)
        forwarded = (value.decode("latin-1") for value in _values(scope, b"x-forwarded-for"))
        address = client_address(address, forwarded, trusted)
    return Credentials(authorization, address)


def _values(scope: Scope, header: bytes) -> Iterator[bytes]:
    return (value for name, value in scope["headers"] if name == header)
