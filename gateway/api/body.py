"""Request bodies: bytes off the wire to a JSON object, never more of either than is allowed."""

import asyncio
from typing import Any

import orjson
from starlette.types import Receive, Scope

from gateway.gate import Gate
from serving.contract.errors import Cancelled, InvalidRequest, PayloadTooLarge
from serving.identity.addresses import AddressLoad


async def read_object(
    scope: Scope, receive: Receive, gate: Gate, address: str | None
) -> tuple[dict[str, Any], int]:
    """The JSON object in the body, and its size in bytes; `address` is whose share it takes.

    Raises InvalidRequest, PayloadTooLarge, AddressLimited or Cancelled.
    """
    settings = gate.settings
    _check_declared_length(scope, settings.max_body_bytes)
    body = _Body(gate.load, address, settings.max_body_bytes)
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            data = await body.read(receive)
    except TimeoutError:
        late = f"the body did not arrive within {settings.body_timeout_s:g} s"
        raise InvalidRequest(late) from None
    finally:
        body.release()
    return _parsed(data, settings.max_json_depth), len(data)


def _check_declared_length(scope: Scope, limit: int) -> None:
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)


class _Body:
    """One body on its way in, and what of its address' share it holds."""

    __slots__ = ("_address", "_held", "_limit", "_load")

    def __init__(self, load: AddressLoad, address: str | None, limit: int) -> None:
        self._load = load
        self._address = address
        self._limit = limit
        self._held = 0

    async def read(self, receive: Receive) -> bytes:
        data = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Cancelled("the client hung up")
            piece: bytes = message.get("body", b"")
            data += piece
            if len(data) > self._limit:
                raise _too_large(self._limit)
            self._load.took(self._address, len(piece))
            self._held += len(piece)
            if not message.get("more_body", False):
                return bytes(data)

    def release(self) -> None:
        self._load.released(self._address, self._held)


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
    if may_be_deeper(data, max_depth) and is_deeper(value, max_depth):
        raise InvalidRequest(f"the body is nested more than {max_depth} levels deep")
    return value


def may_be_deeper(data: bytes, depth: int) -> bool:
    """JSON text with fewer brackets than `depth` cannot be."""
    return data.count(b"{") + data.count(b"[") > depth


def is_deeper(value: Any, depth: int) -> bool:
    """Whether lists and objects are nested more than `depth` levels deep."""
    level = [value]
    while level and depth:
        inner = (v for c in level for v in (c.values() if isinstance(c, dict) else c))
        level = [v for v in inner if isinstance(v, dict | list)]
        depth -= 1
    return bool(level)
