"""Every error has a gRPC status of its own kind, and says when to try again where it can."""

import grpc
import pytest

from gateway.api.errors import error_headers
from gateway.kserve.status import details_of, retry_after_ms, retry_metadata, status_of
from serving.contract import errors
from serving.contract.errors import (
    AdapterNotFound,
    AdaptersBusy,
    Cancelled,
    ConchError,
    EngineFailed,
    Expired,
    Forbidden,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    ModelNotFound,
    PayloadTooLarge,
    QuotaRequests,
    Unauthenticated,
    Unavailable,
)

CODE = grpc.StatusCode
KINDS = errors._below(ConchError)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_a_defect_is_an_internal_error(kind: type[ConchError]) -> None:
    assert (status_of(kind("x")) is CODE.INTERNAL) == (kind is InternalError)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (InvalidRequest, CODE.INVALID_ARGUMENT),
        (PayloadTooLarge, CODE.INVALID_ARGUMENT),
        (Unauthenticated, CODE.UNAUTHENTICATED),
        (Forbidden, CODE.PERMISSION_DENIED),
        (ModelNotFound, CODE.NOT_FOUND),
        (AdapterNotFound, CODE.NOT_FOUND),
        (AdaptersBusy, CODE.UNAVAILABLE),
        (MethodNotAllowed, CODE.UNIMPLEMENTED),
        (QuotaRequests, CODE.RESOURCE_EXHAUSTED),
        (Cancelled, CODE.CANCELLED),
        (EngineFailed, CODE.UNAVAILABLE),
        (Unavailable, CODE.UNAVAILABLE),
        (Expired, CODE.DEADLINE_EXCEEDED),
    ],
)
def test_status_says_what_it_means(kind: type[ConchError], status: grpc.StatusCode) -> None:
    assert status_of(kind("x")) is status


def test_who_finds_no_room_for_an_adapter_is_told_when_to_try_again() -> None:
    assert dict(retry_metadata(AdaptersBusy("x"))) == {"retry-after": "1"}


def test_a_quota_says_when_to_try_again() -> None:
    error = QuotaRequests("slow down")
    error.retry_after_s = 1.5
    assert dict(retry_metadata(error)) == {"retry-after": "2", "retry-after-ms": "1500"}
    assert retry_metadata(InvalidRequest("x")) == ()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if issubclass(kind, errors.Refused)])
def test_every_refusal_says_when_to_try_again_where_that_is_known(kind: type[errors.Refused]):
    error = kind("x")
    error.retry_after_s = 0.2
    assert dict(retry_metadata(error)) == {"retry-after": "1", "retry-after-ms": "200"}
    headers = dict(error_headers(error))
    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"1", b"200")
    assert (details_of(error), retry_after_ms(error)) == (f"{error.code}: x", 200)
    error.retry_after_s = 0.0
    assert dict(error_headers(error))[b"retry-after"] == b"1"
