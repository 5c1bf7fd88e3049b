"""Whatever comes in, the answer is an OpenAI error object with the right status."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.api import edge

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
HI = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]'


def error_of(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return body["error"]


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b"null", b'"x"', b"\xff\xfe", b'{"model": "\xff"}',
        b'{"model": "m", "prompt": "\\ud800"}', HI + b', "temperature": NaN}',
        HI + b', "temperature": Infinity}', HI + b', "temperature": 1e999}',
        HI + b', "seed": 123456789012345678901234567890}', HI + b', "max_tokens": 2147483648}',
        HI + b', "x": ' + b"[" * 100 + b"]" * 100 + b"}",
        HI + b', "x": ' + b'{"a":' * 65 + b"1" + b"}" * 65 + b"}",
        b"[" * 100_000, b'{"a":' * 100_000, b"\x00" * 10,
    ],
)  # fmt: skip
async def test_bad_body_is_400(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    response = await client.post(path, content=body)
    assert response.status_code == 400
    assert error_of(response)["type"] == "invalid_request_error"


async def test_nesting_up_to_the_limit_is_allowed(client: httpx.AsyncClient) -> None:
    deep = b"[" * 63 + b"]" * 63
    response = await client.post(CHAT, content=HI + b', "x": ' + deep + b"}")
    assert error_of(response)["code"] == "unavailable"


async def test_ten_thousand_messages_are_400(client: httpx.AsyncClient) -> None:
    many = [{"role": "user", "content": "hi"}] * 10_000
    response = await client.post(CHAT, json={"model": "m", "messages": many})
    assert (response.status_code, error_of(response)["param"]) == (400, "messages")


async def test_huge_body_is_413_by_its_declared_length(open_client: Callable[..., Any]) -> None:
    async with open_client(max_body_bytes=1000) as client:
        response = await client.post(CHAT, content=b" " * 1001)
    assert (response.status_code, error_of(response)["code"]) == (413, "payload_too_large")


async def test_huge_body_of_undeclared_length_is_413(open_client: Callable[..., Any]) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 100

    async with open_client(max_body_bytes=1000) as client:
        response = await client.post(CHAT, content=endless())
    assert (response.status_code, error_of(response)["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "headers", [{"authorization": ""}, {"authorization": "Bearer no"}, {"authorization": "sk-unit"}]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", CHAT), ("POST", COMPLETIONS), ("GET", "/v1/models"),
                         ("GET", "/v1/models/m")],
)  # fmt: skip
async def test_wrong_key_is_401_before_the_body_is_read(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = await client.request(method, path, headers=headers, content=b"{")
    assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/metrics", 405, "method_not_allowed"),
        ("GET", "/", 404, "route_not_found"),
        ("POST", "/v1/chat/completions/", 404, "route_not_found"),
        ("GET", "/v1/%00%ff", 404, "route_not_found"),
        ("GET", "/v1/models", 503, "unavailable"),
        ("GET", "/health/ready", 503, "unavailable"),
    ],
)
async def test_endpoints_that_cannot_answer(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, error_of(response)["code"]) == (status, code)


async def test_405_says_which_methods_are_allowed(client: httpx.AsyncClient) -> None:
    assert (await client.get(CHAT)).headers["allow"] == "POST"


async def test_503_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    response = await client.post(CHAT, content=HI + b"}")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert error_of(response)["code"] == "unavailable"


async def test_live_and_metrics_need_no_key(client: httpx.AsyncClient) -> None:
    headers = {"authorization": ""}
    assert (await client.get("/health/live", headers=headers)).status_code == 200
    await client.post(CHAT, content=b"{")
    metrics = await client.get("/metrics", headers=headers)
    labels = 'adapter="",endpoint="chat",model="",reason="invalid_request"'
    counted = f"conch_gateway_requests_total{{{labels}"
    assert counted in metrics.text


@pytest.mark.parametrize("given", ["abc-123", "x" * 128, "!~"])
async def test_request_id_of_the_client_is_kept(client: httpx.AsyncClient, given: str) -> None:
    response = await client.get("/health/live", headers={"x-request-id": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a b", b"\xe4", b"a\tb"])
async def test_other_request_ids_are_replaced(client: httpx.AsyncClient, given: bytes) -> None:
    response = await client.get("/health/live", headers=[(b"x-request-id", given)])
    assert response.headers["x-request-id"].startswith("req_")


async def test_defect_is_logged_with_its_request_id_and_tells_nothing(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("gateway.api.generation.answer", explode)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        response = await client.post(CHAT, headers={"x-request-id": "r1"}, content=HI + b"}")
    assert (response.status_code, error_of(response)["message"]) == (500, "internal error")
    failure = next(entry for entry in logs if entry["event"] == "request_failed")
    assert (failure["request_id"], str(failure["exc_info"])) == ("r1", "secret detail")


def test_endpoint_labels_are_a_closed_set() -> None:
    labels = {edge._endpoint(path) for path in ("/a", "/b/c", "/v1/models/x", CHAT, "/metrics")}
    assert labels == {"other", "models", "chat", "metrics"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["model", "messages", "prompt", "n", "best_of", "max_tokens", "max_completion_tokens", "stop",
     "temperature", "top_p", "top_k", "seed", "stream", "stream_options", "logprobs", "echo",
     "top_logprobs", "logit_bias", "response_format", "tools", "tool_choice", "metadata", "user",
     "presence_penalty", "frequency_penalty", "suffix", "modalities"]
)  # fmt: skip
BODIES = st.dictionaries(FIELDS, JSON, max_size=8)
PLAUSIBLE = BODIES.map(
    lambda body: {
        "model": "m",
        "prompt": "x",
        "messages": [{"role": "user", "content": body.pop("messages", "x")}],
        **body,
    }
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.sampled_from([CHAT, COMPLETIONS]), body=BODIES | PLAUSIBLE | JSON)
async def test_no_json_makes_a_defect(client: httpx.AsyncClient, path: str, body: Any) -> None:
    data = json.dumps(body, ensure_ascii=True).encode()
    response = await client.post(path, content=data)
    error = error_of(response)
    # 503 is right for a valid body: there is no Triton here.
    assert (response.status_code, error["code"]) in {
        (400, "invalid_request"), (400, "unsupported_parameter"), (503, "unavailable"),
    }  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.binary(max_size=200))
async def test_no_bytes_make_a_defect(client: httpx.AsyncClient, data: bytes) -> None:
    response = await client.post(CHAT, content=data)
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_request")
