"""Errors by the names that OpenAI's clients know, and every exception as one of ours."""

import asyncio

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
from serving.web import errors as web

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
    "priority": "X-Priority",
    "session": "X-Session-Id",
    "timeout_ms": "X-Timeout-Ms",
    "ttft_timeout_ms": "X-TTFT-Timeout-Ms",
    "idle_timeout_ms": "X-Idle-Timeout-Ms",
    "deadline_ms": "X-Deadline-Ms",
}


def error_object(error: ConchError) -> bytes:
    """`{"error": {…}}`, as OpenAI's clients parse it."""
    return web.error_object(error, param=_CLIENTS_NAMES.get(error.param or "", error.param))


def error_headers(error: ConchError) -> list[tuple[bytes, bytes]]:
    more = ((name.encode(), value.encode()) for name, value in web.error_headers(error).items())
    return [(b"content-type", b"application/json"), *more]


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


def _method_not_allowed(allowed: str) -> MethodNotAllowed:
    error = MethodNotAllowed(f"this endpoint takes {allowed} only")
    error.allowed = allowed
    return error


def invalid(error: ValidationError) -> InvalidRequest:
    """The first thing that is wrong with a body, by the name of its field."""
    detail = error.errors(include_url=False, include_input=False)[0]
    if detail["type"] == UNSUPPORTED:
        param = web.field_name(detail["loc"])
        return UnsupportedParameter(f"'{param}' {detail['msg']}", param=param)
    return web.invalid(detail)
