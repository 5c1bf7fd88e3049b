"""The client's side of a request: what it sent, and whether it is still there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope

from gateway.api.body import read_object
from gateway.pipeline import Ask
from gateway.settings import GatewaySettings
from gateway.tasks import bare_errors
from serving.contract.errors import Cancelled

AskOf = Callable[[dict[str, Any], GatewaySettings], Ask]


@dataclass(frozen=True, slots=True)
class HttpCaller:
    """A client on an HTTP connection; `ask_of` makes sense of its body."""

    scope: Scope
    receive: Receive
    ask_of: AskOf
    settings: GatewaySettings

    @property
    def authorization(self) -> bytes | None:
        return authorization(self.scope)

    async def read(self) -> Ask:
        body = await read_object(self.scope, self.receive, self.settings)
        return self.ask_of(body, self.settings)

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


def authorization(scope: Scope) -> bytes | None:
    """The Authorization header as it was sent."""
    headers = scope["headers"]
    return next((value for name, value in headers if name == b"authorization"), None)
