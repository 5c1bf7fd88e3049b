"""What goes on, and what is told, while PostgreSQL, the control plane or Redis stand still."""

import os
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest
from asking import TIMEOUT_S, by_grpc, by_rest
from gateway_wire import endless
from governed import GRANULARITIES, Books, Key, control_plane, new_key
from processes import frozen
from tritonclient.utils import InferenceServerException
from waiting import until

STORES = ("postgres", "control-plane")
ALLOWANCE = 2  # requests a minute
BACK_S, ARRIVED_S = 15.0, 15.0
QUICK = {
    "GATEWAY_WORKERS": "1",
    "REDIS_TIMEOUT_S": "0.5",
    "GATEWAY_LEASE_S": "2",
    "CONTROL_USAGE_CLAIM_AFTER_S": "1",
    "CONTROL_USAGE_REAP_EVERY_S": "0.5",
    # What stands still is to stay so.
    "CONCH_HEALTH_FAILURES": "1000",
}


@pytest.fixture(scope="module")
def cut_off(make_stack) -> Any:
    stack = make_stack(**QUICK)
    stack.up()
    return stack


@pytest.fixture(scope="module")
def books(cut_off) -> Books:
    return Books.of(cut_off)


@pytest.fixture(scope="module")
def key(cut_off) -> Key:
    set_policy(cut_off, on_redis_down="allow", allowance_requests_per_minute=ALLOWANCE)
    return new_key(cut_off, "acme/web")


@pytest.fixture
def request_id() -> str:
    """Under which a test sends its requests."""
    return secrets.token_hex(8)


def set_policy(stack: Any, **settings: object) -> None:
    with control_plane(stack) as control:
        control.patch("/policy/settings", json=settings)


@contextmanager
def stopped(stack: Any, *parts: str) -> Iterator[None]:
    leaders = [psutil.Process(stack.pid_of(part)) for part in parts]
    # Leaders first: after that they start nobody any more.
    with frozen(*leaders), frozen(*(p for each in leaders for p in each.children(recursive=True))):
        yield


@contextmanager
def endless_stream(stack: Any, key: Key, request_id: str) -> Iterator[Iterator[str]]:
    """Its lines, of which there is one."""
    headers = {**key.headers, "x-request-id": request_id}
    with (
        httpx.Client(base_url=stack.base_url, trust_env=False, timeout=TIMEOUT_S) as client,
        client.stream("POST", "/completions", json=endless(stack.model), headers=headers) as reply,
    ):
        lines = reply.iter_lines()
        assert next(lines).startswith("data: ")
        yield lines


def policy_on_disk(stack: Any) -> str:
    return (stack.var / "gateway" / "policy.ndjson").read_text()


def is_live(stack: Any) -> bool:
    try:
        return httpx.get(stack.gateway_metrics_url, trust_env=False).is_success
    except httpx.TransportError:
        return False


def statuses_of(books: Books, request_id: str) -> Counter[str]:
    found = books.rows(f"SELECT status FROM usage_events WHERE request_id = '{request_id}'")
    return Counter(event["status"] for event in found)


def test_without_database_and_control_plane_all_is_served_and_counted_later(
    cut_off, books, key, request_id
):
    with stopped(cut_off, *STORES):
        assert by_rest(cut_off, key, request_id).is_success
        assert by_grpc(cut_off, key, request_id)
    until(lambda: statuses_of(books, request_id) == {"ok": 2}, ARRIVED_S)


def test_what_a_gateway_says_late_takes_the_place_of_what_was_given_up(
    cut_off, books, key, request_id
):
    with endless_stream(cut_off, key, request_id), stopped(cut_off, "gateway"):
        until(lambda: statuses_of(books, request_id) == {"lost": 1}, ARRIVED_S)
    until(lambda: statuses_of(books, request_id) == {"cancelled": 1}, ARRIVED_S)
    for granularity in GRANULARITIES:
        assert books.sums_rolled_up(granularity) == books.sums_of_events()


def test_with_all_stores_away_an_allowance_is_served_even_by_a_gateway_that_starts_then(
    cut_off, books, key, request_id
):
    until(lambda: '"allow"' in policy_on_disk(cut_off), BACK_S)
    with stopped(cut_off, "redis", *STORES):
        assert by_rest(cut_off, key, request_id).is_success
        with endless_stream(cut_off, key, request_id):
            os.kill(cut_off.pid_of("gateway"), signal.SIGKILL)
        until(lambda: cut_off.restarts_of("gateway") == 1 and is_live(cut_off), BACK_S)
        assert by_rest(cut_off, Key("", "ck_live_no_no", "")).status_code == 401
        assert by_rest(cut_off, key, request_id).is_success
        assert by_grpc(cut_off, key, request_id)
        refused = by_rest(cut_off, key, request_id)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_requests")
    assert 0 < int(refused.headers["retry-after"]) <= 60 / ALLOWANCE
    expected = {"ok": 3, "lost": 1, "refused": 1}
    until(lambda: statuses_of(books, request_id) == expected, ARRIVED_S)
    until(books.is_settled, ARRIVED_S)


def test_without_redis_streams_go_on_and_nothing_new_is_served_where_that_is_the_policy(
    cut_off, books, request_id
):
    set_policy(cut_off, on_redis_down="refuse")
    key = new_key(cut_off, "globex/web")
    with endless_stream(cut_off, key, request_id) as lines, stopped(cut_off, "redis"):
        refused = by_rest(cut_off, key, request_id)
        with pytest.raises(InferenceServerException) as refused_by_grpc:
            by_grpc(cut_off, key, request_id)
        assert all(next(lines) is not None for _ in range(10))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "quota_unavailable"
    assert refused_by_grpc.value.status() == "StatusCode.UNAVAILABLE"
    assert refused_by_grpc.value.message().startswith("quota_unavailable: ")
    until(lambda: by_rest(cut_off, key).is_success, BACK_S)
    expected = {"refused": 2, "cancelled": 1}
    until(lambda: statuses_of(books, request_id) == expected, ARRIVED_S)
