"""The outermost layer: request ids, and one line in the log and one count for every request."""

import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.bodies import Body
from control_plane.peers import address_of
from control_plane.plane import ControlPlane
from serving.contract.api_keys import masked
from serving.web import request_ids

PROBES = ("/health/live", "/health/ready", "/metrics")
log: structlog.stdlib.BoundLogger = structlog.get_logger("control_plane")


class Edge:
    """Wraps the application. What it did not expect is logged here, with the request id."""

    def __init__(self, app: ASGIApp, plane: ControlPlane) -> None:
        self.app = app
        self._plane = plane
        self._metrics = plane.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_ids.of_scope(scope)
        answered = _Answered(send, request_id)
        address = address_of(HTTPConnection(scope), self._plane.settings)
        body = Body(self._plane, receive, address)
        began_s = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, body.receive, answered.send)
            except Exception:
                # Its answer is sent already: the framework raises it again for the log.
                log.exception("request_failed")
            finally:
                body.release()
                self._ended(scope, answered.status, time.perf_counter() - began_s)

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
