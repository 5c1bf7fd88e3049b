"""Every error that a client of Conch can meet.

ConchError
├── InvalidRequest                400  the request itself is wrong
│   ├── UnsupportedParameter      400  understood, but the deployed engine cannot honour it
│   ├── PromptTooLong             400  prompt and answer do not fit the model's context
│   └── PayloadTooLarge           413  more bytes than the service accepts
├── Unauthenticated               401  no key, or one that nobody knows
├── ModelNotFound                 404  no such model is deployed
├── RouteNotFound                 404  no such endpoint
├── MethodNotAllowed              405  the endpoint exists, with another method
├── Refused                       503  could be served, but not now
│   ├── QueueFull                 503  too many requests wait already
│   └── Expired                   504  its deadline passed first
├── Cancelled                     499  the client went away or cancelled
├── Unavailable                   503  the model server cannot be reached or is not ready
├── EngineFailed                  502  the engine gave up on this request
└── InternalError                 500  a defect: the log has the trace, the client the request id

A leaf is its code, HTTP status and docstring. `to_wire` and `from_wire` carry an error through the
one string that a Triton response has for it: `code[param]: message`.
"""

import re
from typing import ClassVar


class ConchError(Exception):
    """Root of the tree; `message` says what, which one, and what to do."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class InvalidRequest(ConchError):
    """The request is malformed or a value is out of range; `param` names the field."""

    code = "invalid_request"
    status = 400


class UnsupportedParameter(InvalidRequest):
    """A parameter the deployed engine or this version cannot honour; never silently ignored."""

    code = "unsupported_parameter"


class PromptTooLong(InvalidRequest):
    """Prompt and requested answer exceed the context or the KV cache; gives both numbers."""

    code = "context_length_exceeded"


class PayloadTooLarge(InvalidRequest):
    """The body has more bytes than the service accepts."""

    code = "payload_too_large"
    status = 413


class Unauthenticated(ConchError):
    """No credentials, or credentials that are not known."""

    code = "invalid_api_key"
    status = 401


class ModelNotFound(ConchError):
    """No model of that name is deployed."""

    code = "model_not_found"
    status = 404


class RouteNotFound(ConchError):
    """No such endpoint."""

    code = "route_not_found"
    status = 404


class MethodNotAllowed(ConchError):
    """The endpoint does not have that method; `allowed` lists those it has, as `Allow` does."""

    code = "method_not_allowed"
    status = 405
    allowed: str = ""


class Refused(ConchError):
    """Could be served, but not now; one word in the response, the log and the metric."""

    code = "saturated"
    status = 503
    is_retryable = True


class QueueFull(Refused):
    """As many requests wait as may wait."""

    code = "queue_full"


class Expired(Refused):
    """The deadline of the request passed before it was answered."""

    code = "expired"
    status = 504


class Cancelled(ConchError):
    """The client hung up or cancelled the request."""

    code = "cancelled"
    status = 499


class Unavailable(ConchError):
    """The model server is not reachable or not ready; try again soon."""

    code = "unavailable"
    status = 503
    is_retryable = True


class EngineFailed(ConchError):
    """The engine ended this request without an answer."""

    code = "engine_failed"
    status = 502
    is_retryable = True


class InternalError(ConchError):
    """A defect in Conch."""


_WIRE = re.compile(
    r"(?<![a-z_])(?P<code>[a-z_]+)(?:\[(?P<param>[^\]]*)\])?: (?P<message>.*)", re.DOTALL
)


def _below(root: type[ConchError]) -> list[type[ConchError]]:
    return [e for child in root.__subclasses__() for e in (child, *_below(child))]


_BY_CODE: dict[str, type[ConchError]] = {error.code: error for error in _below(ConchError)}


def to_wire(error: ConchError) -> str:
    """The error as one line for a Triton response."""
    param = f"[{error.param.replace(']', '')}]" if error.param else ""
    return f"{error.code}{param}: {error.message}"


def from_wire(text: str) -> ConchError | None:
    """The error that `to_wire` wrote, or None when `text` is not of that form.

    Triton may put its own words before the text ("Failed to process the request(s) …, message: ").
    """
    match = _WIRE.search(text)
    while match is not None and match["code"] not in _BY_CODE:
        match = _WIRE.search(text, match.start() + 1)
    if match is None:
        return None
    return _BY_CODE[match["code"]](match["message"], param=match["param"])
