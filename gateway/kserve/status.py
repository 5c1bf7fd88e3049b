"""Errors as the status of a call, with when to try again in its trailing metadata."""

import math
from typing import Any

import grpc

from serving.contract.errors import ConchError, PayloadTooLarge, Refused
from serving.web.errors import error_headers

Metadata = tuple[tuple[str, str], ...]

_STATUSES: dict[int, Any] = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    PayloadTooLarge.status: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED,
    500: grpc.StatusCode.INTERNAL,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}


def status_of(error: ConchError) -> Any:
    return _STATUSES.get(error.status, grpc.StatusCode.INTERNAL)


def details_of(error: ConchError) -> str:
    """`code[param]: message`; when to try again is said beside it."""
    param = f"[{error.param.replace(']', '')}]" if error.param else ""
    return f"{error.code}{param}: {error.message}"


def retry_after_ms(error: ConchError) -> int | None:
    """When it is worth to try again, where that is known."""
    if not isinstance(error, Refused) or error.retry_after_s is None:
        return None
    return math.ceil(error.retry_after_s * 1e3)


def retry_metadata(error: ConchError) -> Metadata:
    """When to try again, by the names that the REST API has for it in its headers."""
    headers = error_headers(error).items()
    return tuple((name, value) for name, value in headers if name.startswith("retry-after"))
