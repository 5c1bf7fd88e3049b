"""The outermost layer: request ids, and one line in the log and one count for every request."""

import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.metrics import Metrics
from serving.contract.api_keys import masked
from serving.contract.errors import PayloadTooLarge
from serving.web import request_ids

PROBES = ("/health/live", "/health/ready", "/metrics")
log: structlog.stdlib.BoundLogger = structlog.get_logger("control_plane")


class Edge:
    """Wraps the application. What it did not expect is logged here, with the request id."""

    def __init__(self, app: ASGIApp, metrics: Metrics, *, max_body_bytes: int) -> None:
        self.app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_ids.of_scope(scope)
        answered = _Answered(send, request_id)
        began_s = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, self._bounded(receive), answered.send)
            except Exception:
                # Its answer is sent already: the framework raises it again for the log.
                log.exception("request_failed")
            finally:
                self._ended(scope, answered.status, time.perf_counter() - began_s)

    def _bounded(self, receive: Receive) -> Receive:
        """Raises the framework's own exception for a body that is too large: it takes no other."""
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_body_bytes:
                raise HTTPException(PayloadTooLarge.status)
            return message

        return bounded

    def _ended(self, scope: Scope, status: int, duration_s: float) -> None:
        route = getattr(scope.get("route"), "path", "")
        reason = scope.get("state", {}).get("reason", "")
        method = scope["method"] if route else ""
        self._metrics.requests.labels(route, method, str(status), reason).inc()
        self._metrics.duration.labels(route).observe(duration_s)
        log.log(
            10 if route in PROBES else 20,
            "request_ended",
            method=scope["method"],
            # People who mean a key's id sometimes give the whole key.
            path=masked(scope["path"])[:256],
            status=status,
            reason=reason,
            duration_ms=round(duration_s * 1e3, 1),
        )


class _Answered:
    """The response on its way out. Nothing of it is for a cache: keys are in some."""

    __slots__ = ("_request_id", "_send", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            more = (b"x-request-id", self._request_id.encode()), (b"cache-control", b"no-store")
            message = {**message, "headers": [*message["headers"], *more]}
        await self._send(message)
