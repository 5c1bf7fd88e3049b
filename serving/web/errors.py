"""Errors as the OpenAI error objects that clients parse, and what is wrong with a body by name."""

import math
from collections.abc import Mapping
from typing import Any

import orjson

from serving.contract.errors import (
    ConchError,
    InvalidRequest,
    MethodNotAllowed,
    QuotaExceeded,
    Refused,
    Unavailable,
)

RETRY_AFTER_S = 1


def error_object(error: ConchError, *, param: str | None = None) -> bytes:
    """`param` is what its clients call the field, where that is another name."""
    body = {
        "message": error.message,
        "type": _type(error),
        "param": param or error.param,
        "code": error.code,
    }
    return orjson.dumps({"error": body})


def _type(error: ConchError) -> str:
    if isinstance(error, QuotaExceeded):
        return error.kind
    return "invalid_request_error" if error.status < 500 else "server_error"


def error_headers(error: ConchError) -> dict[str, str]:
    """The headers that go with it: when to try again, which methods there are."""
    if isinstance(error, Refused) and error.retry_after_s is not None:
        return {
            "retry-after": str(max(RETRY_AFTER_S, math.ceil(error.retry_after_s))),
            "retry-after-ms": str(math.ceil(error.retry_after_s * 1e3)),
        }
    if error.is_retryable and error.status == Unavailable.status:
        return {"retry-after": str(RETRY_AFTER_S)}
    return {"allow": error.allowed} if isinstance(error, MethodNotAllowed) else {}


def invalid(detail: Mapping[str, Any]) -> InvalidRequest:
    """One complaint of pydantic, by the name of its field."""
    param = field_name(detail["loc"])
    if detail["type"] == "missing":
        return InvalidRequest(f"'{param}' is required", param=param)
    return InvalidRequest(f"'{param}': {_told(detail['msg'])}", param=param)


def field_name(location: tuple[Any, ...]) -> str:
    """messages[0].content, as OpenAI names it."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _told(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
