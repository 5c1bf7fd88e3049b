"""The outermost layer: request ids, and every exception as the right answer of its moment."""

import asyncio
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api import sse
from gateway.api.errors import as_ours, error_headers, error_object
from gateway.metrics import Metrics
from gateway.telemetry import Record, log
from serving.contract.errors import Cancelled, InternalError
from serving.web import request_ids

FAREWELL_S = 1.0
ENDPOINTS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
    "/v1/models": "models",
    "/v1/approvals": "approvals",
    "/v1/cache": "cache",
    "/v1/moderations": "moderations",
    "/health/live": "health",
    "/health/ready": "health",
    "/metrics": "metrics",
}
PARENTS = ("/v1/models", "/v1/approvals", "/v1/cache")


class Edge:
    """Wraps the router. Everything that leaves it has a request id and is counted once."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(self._metrics, _endpoint(scope["path"]), request_ids.of_scope(scope))
        reply = _Response(send, record)
        scope["app"] = self  # makes the router raise instead of answering in plain text
        scope.setdefault("state", {})["record"] = record
        record.began()
        with structlog.contextvars.bound_contextvars(request_id=record.request_id):
            try:
                await self._app(scope, receive, reply.send)
            except (Exception, asyncio.CancelledError) as error:
                await reply.fail(error)
            finally:
                record.ended()


class _Response:
    """The response of one request, and what of it has been sent."""

    __slots__ = ("_is_begun", "_record", "_send")

    def __init__(self, send: Send, record: Record) -> None:
        self._send = send
        self._record = record
        self._is_begun = False

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if not self._is_begun:
            self._is_begun = True
            self._record.status = message["status"]
            request_id = (b"x-request-id", self._record.request_id.encode())
            headers = [*message["headers"], *self._record.headers, request_id]
            message = {**message, "headers": headers}
        await self._send(message)

    async def fail(self, exception: BaseException) -> None:
        """Tells the client: by status before the first byte, by an event of the stream after it."""
        error = as_ours(exception)
        self._record.reason = error.code
        if isinstance(error, InternalError):
            log.error("request_failed", exc_info=exception)
        if isinstance(error, Cancelled) and not self._is_begun:
            self._record.status = error.status
        # A client that does not read must not hold up the end of its own request.
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._tell(error_object(error), error_headers(error), error.status)

    async def _tell(self, body: bytes, headers: list[tuple[bytes, bytes]], status: int) -> None:
        if self._is_begun:
            body = sse.event(body)
        else:
            headers.append((b"content-length", b"%d" % len(body)))
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _endpoint(path: str) -> str:
    parent = next((each for each in PARENTS if path.startswith(f"{each}/")), path)
    return ENDPOINTS.get(parent, "other")
