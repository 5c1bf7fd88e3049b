"""Errors as OpenAI error objects, and every exception as one of ours."""

import asyncio
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from serving.contract.errors import (
    ConchError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
    Unavailable,
    UnsupportedParameter,
)

RETRY_AFTER_S = 1
UNSUPPORTED = "unsupported_parameter"
# input of the BLS contract -> what OpenAI's clients call it
_CLIENTS_NAMES = {
    "guided_decoding_guide": "response_format",
    "guided_decoding_guide_type": "response_format",
    "stop_words": "stop",
    "num_return_sequences": "n",
    "return_log_probs": "logprobs",
    "exclude_input_in_output": "echo",
    "input_ids": "prompt",
    "text_input": "prompt",
}


def error_object(error: ConchError) -> bytes:
    """`{"error": {…}}`, as OpenAI's clients parse it."""
    body = {
        "message": error.message,
        "type": "invalid_request_error" if error.status < 500 else "server_error",
        "param": _CLIENTS_NAMES.get(error.param or "", error.param),
        "code": error.code,
    }
    return orjson.dumps({"error": body})


def error_headers(error: ConchError) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", b"application/json")]
    if error.is_retryable and error.status == Unavailable.status:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    return headers


def _method_not_allowed(allowed: str) -> MethodNotAllowed:
    error = MethodNotAllowed(f"this endpoint takes {allowed} only")
    error.allowed = allowed
    return error


def as_ours(error: BaseException) -> ConchError:
    """The error a client is told of. A foreign one is a defect and tells it nothing."""
    if isinstance(error, ConchError):
        return error
    if isinstance(error, HTTPException) and error.headers and "Allow" in error.headers:
        return _method_not_allowed(error.headers["Allow"])
    if isinstance(error, HTTPException):
        return RouteNotFound("no such endpoint")
    if isinstance(error, asyncio.CancelledError):
        return Unavailable("the gateway is shutting down; send the request again")
    return InternalError("internal error")


def invalid(error: ValidationError) -> InvalidRequest:
    """The first thing that is wrong with a body, by the name of its field."""
    detail = error.errors(include_url=False, include_input=False)[0]
    param = field_name(detail["loc"])
    if detail["type"] == UNSUPPORTED:
        return UnsupportedParameter(f"'{param}' {detail['msg']}", param=param)
    if detail["type"] == "missing":
        return InvalidRequest(f"'{param}' is required", param=param)
    return InvalidRequest(f"'{param}': {_lower(detail['msg'])}", param=param)


def field_name(location: tuple[Any, ...]) -> str:
    """messages[0].content, as OpenAI names it."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
