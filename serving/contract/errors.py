"""Every error that a client of Conch can meet.

ConchError
├── InvalidRequest                400  the request itself is wrong
│   ├── UnsupportedParameter      400  understood, but the deployed engine cannot honour it
│   ├── PromptTooLong             400  prompt and answer do not fit the model's context
│   ├── UnfitAdapter              400  an adapter that was not made for the engine
│   └── PayloadTooLarge           413  more bytes than the service accepts
├── Unauthenticated               401  no credentials, or ones that are not (or no longer) good
├── Blocked                       400  a guardrail lets this text or call not through
├── Forbidden                     403  known, but not allowed to do this
├── BadGrant                      403  a grant that is forged, expired or used before
├── ApprovalDenied                403  a person has denied a call that has a result all the same
├── ApprovalPending               409  a call has a result, and nobody has approved it
├── NotFound                      404  no such thing, or one that the caller may not see
├── Conflict                      409  it exists already, or has changed in between
├── ModelNotFound                 404  no such model is deployed
├── AdapterNotFound               404  the model has no adapter of that name
├── RouteNotFound                 404  no such endpoint
├── MethodNotAllowed              405  the endpoint exists, with another method
├── Refused                       503  could be served, but not now
│   ├── QuotaExceeded             429  a limit of the caller, its project or its tenant is used up
│   │   ├── QuotaRequests         429  too many requests a minute
│   │   ├── QuotaTokens           429  too many tokens a minute or a day
│   │   ├── QuotaConcurrency      429  too many requests at a time
│   │   ├── QuotaTooSmall         429  more than the limit lets through at once: it can never pass
│   │   └── BudgetExhausted       429  the month's budget is spent
│   ├── AddressLimited            429  too many failed keys or connections from one address
│   ├── QuotaUnavailable          503  quotas cannot be asked for, and the policy is to refuse
│   ├── QueueFull                 503  too many requests wait already
│   ├── AdaptersBusy              503  every adapter in the engine is in use: no room for another
│   └── Expired                   504  its deadline passed first
├── Cancelled                     499  the client went away or cancelled
├── Unavailable                   503  a part that this needs cannot be reached or is not ready
├── EngineFailed                  502  the engine gave up on this request
└── InternalError                 500  a defect: the log has the trace, the client the request id

A leaf is its code, HTTP status and docstring. `to_wire` and `from_wire` carry an error through the
one string that a Triton response has for it: `code[param]: message`, and of one that it is worth
to try again `code[param](retry after 2.5 s): message`.
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


class UnfitAdapter(InvalidRequest):
    """An adapter for another base model, with a module or a rank that the engine does not take."""

    code = "unfit_adapter"


class PayloadTooLarge(InvalidRequest):
    """The body has more bytes than the service accepts."""

    code = "payload_too_large"
    status = 413


class Unauthenticated(ConchError):
    """No credentials, or credentials that are not known."""

    code = "invalid_api_key"
    status = 401


class Blocked(ConchError):
    """A guardrail of the policy in force lets it not through; says which check, where it may."""

    code = "blocked"
    status = 400


class Forbidden(ConchError):
    """Who calls is known, but may not do this; names the permission or the bound it lacks."""

    code = "permission_denied"
    status = 403


class BadGrant(ConchError):
    """The grant of a request is forged, malformed, expired, for another request or used before."""

    code = "bad_grant"
    status = 403


class ApprovalPending(ConchError):
    """A call that needs a person's approval has a result, and no approval (yet, or any more)."""

    code = "approval_pending"
    status = 409


class ApprovalDenied(ConchError):
    """A person has denied a call that has a result all the same."""

    code = "approval_denied"
    status = 403


class NotFound(ConchError):
    """There is no such thing, or it belongs to another tenant: both look the same."""

    code = "not_found"
    status = 404


class Conflict(ConchError):
    """A thing of that id exists already, or it is not in a state in which this can be done."""

    code = "conflict"
    status = 409


class ModelNotFound(ConchError):
    """No model of that name is deployed."""

    code = "model_not_found"
    status = 404


class AdapterNotFound(ConchError):
    """The model has no adapter of that name, or the caller may not use it."""

    code = "adapter_not_found"
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
    """Could be served, but not now; one word in the response, the log and the metric.

    `retry_after_s` is when it is worth trying again, where that is known.
    """

    code = "saturated"
    status = 503
    is_retryable = True
    retry_after_s: float | None = None


class QuotaExceeded(Refused):
    """A limit is used up."""

    code = "quota_exceeded"
    status = 429
    kind: ClassVar[str] = "requests"  # `type` of OpenAI's error object


class QuotaRequests(QuotaExceeded):
    """As many requests as a minute allows."""

    code = "quota_requests"


class QuotaTokens(QuotaExceeded):
    """As many tokens as a minute or a day allows."""

    code = "quota_tokens"
    kind = "tokens"


class QuotaConcurrency(QuotaExceeded):
    """As many requests at a time as are allowed."""

    code = "quota_concurrency"


class QuotaTooSmall(QuotaExceeded):
    """The request alone needs more than a limit lets through at once: it can never pass."""

    code = "quota_too_small"
    kind = "tokens"
    is_retryable = False


class BudgetExhausted(QuotaExceeded):
    """The budget of the month is spent; its code is the one OpenAI's clients do not retry."""

    code = "insufficient_quota"
    kind = "insufficient_quota"
    is_retryable = False


class AddressLimited(Refused):
    """One address sent too many wrong keys, or holds too many connections."""

    code = "address_limited"
    status = 429


class QuotaUnavailable(Refused):
    """Quotas cannot be asked for now, and the policy is to let nobody through unasked."""

    code = "quota_unavailable"


class QueueFull(Refused):
    """As many requests wait as may wait."""

    code = "queue_full"


class AdaptersBusy(Refused):
    """The engine's LoRA cache is full of adapters that are in use."""

    code = "adapters_busy"


class Expired(Refused):
    """The deadline of the request passed before it was answered."""

    code = "expired"
    status = 504


class Cancelled(ConchError):
    """The client hung up or cancelled the request."""

    code = "cancelled"
    status = 499


class Unavailable(ConchError):
    """Something it needs (model server, policy, database) does not answer now; try again soon."""

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
    r"(?<![a-z_])(?P<code>[a-z_]+)(?:\[(?P<param>[^\]]*)\])?"
    r"(?:\(retry after (?P<retry_after_s>[0-9.]+) s\))?: (?P<message>.*)",
    re.DOTALL,
)


def _below(root: type[ConchError]) -> list[type[ConchError]]:
    return [e for child in root.__subclasses__() for e in (child, *_below(child))]


_BY_CODE: dict[str, type[ConchError]] = {error.code: error for error in _below(ConchError)}


def to_wire(error: ConchError) -> str:
    """The error as one line for a Triton response."""
    param = f"[{error.param.replace(']', '')}]" if error.param else ""
    return f"{error.code}{param}{_retry(error)}: {error.message}"


def _retry(error: ConchError) -> str:
    if not isinstance(error, Refused) or error.retry_after_s is None:
        return ""
    return f"(retry after {error.retry_after_s:.1f} s)"


def from_wire(text: str) -> ConchError | None:
    """The error that `to_wire` wrote, or None when `text` is not of that form.

    Triton may put its own words before the text ("Failed to process the request(s) …, message: ").
    """
    match = _WIRE.search(text)
    while match is not None and match["code"] not in _BY_CODE:
        match = _WIRE.search(text, match.start() + 1)
    if match is None:
        return None
    error = _BY_CODE[match["code"]](match["message"], param=match["param"])
    if isinstance(error, Refused) and match["retry_after_s"]:
        error.retry_after_s = float(match["retry_after_s"])
    return error
