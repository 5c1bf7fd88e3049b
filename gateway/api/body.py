"""Request bodies: bytes off the wire to a JSON object, never more of either than is allowed."""

import asyncio
from typing import Any

import orjson
from starlette.types import Receive, Scope

from gateway.settings import GatewaySettings
from serving.contract.errors import Cancelled, InvalidRequest, PayloadTooLarge


async def read_object(scope: Scope, receive: Receive, settings: GatewaySettings) -> dict[str, Any]:
    """The JSON object in the body. Raises InvalidRequest, PayloadTooLarge or Cancelled."""
    limit = settings.max_body_bytes
    _check_declared_length(scope, limit)
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            data = await _read(receive, limit)
    except TimeoutError:
        late = f"the body did not arrive within {settings.body_timeout_s:g} s"
        raise InvalidRequest(late) from None
    return _parsed(data, settings.max_json_depth)


def _check_declared_length(scope: Scope, limit: int) -> None:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)


async def _read(receive: Receive, limit: int) -> bytes:
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Cancelled("the client hung up")
        data += message.get("body", b"")
        if len(data) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(data)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body has more than {limit} bytes")


def _parsed(data: bytes, max_depth: int) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        # Position only: the parser's own words may quote the body.
        raise InvalidRequest(f"the body is not valid JSON (at character {error.pos})") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    # A body with fewer brackets than the limit cannot be too deep.
    if data.count(b"{") + data.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise InvalidRequest(f"the body is nested more than {max_depth} levels deep")
    return value


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    while level and depth:
        inner = (v for c in level for v in (c.values() if isinstance(c, dict) else c))
        level = [v for v in inner if isinstance(v, dict | list)]
        depth -= 1
    return bool(level)
