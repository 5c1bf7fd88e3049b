"""What all endpoints of the control plane have in common, on the real stores."""

import structlog
from structlog.testing import capture_logs

from control_plane.access import requirements
from control_plane.store import rows
from control_plane.tenants import service
from serving.contract.permissions import Permission


def error_of(reply):
    return reply.status_code, reply.json()["error"]["code"], reply.json()["error"]["param"]


async def test_nobody_gets_in_without_a_key(client_of):
    for authorization, says in (
        ({}, "no API key"),
        ({"authorization": "Bearer wrong"}, "not known"),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "not known"),
    ):
        for method, path in (("GET", "/v1/tenants"), ("POST", "/v1/keys"), ("GET", "/v1/audit")):
            reply = await client_of().request(method, path, headers=authorization)
            assert error_of(reply) == (401, "invalid_api_key", None)
            assert says in reply.json()["error"]["message"]


async def test_a_revoked_key_opens_nothing_from_the_next_request_on(client_with, owner):
    client = await client_with(role="admin")
    assert (await client.get("/v1/tenants")).status_code == 200
    key_id = (await client.get("/v1/keys")).json()["data"][-1]["id"]
    for key in (await owner.get("/v1/keys")).json()["data"]:
        if key["role"] == "admin":
            key_id = key["id"]
    assert (await owner.post(f"/v1/keys/{key_id}/revoke")).json()["is_active"] is False
    assert (await client.get("/v1/tenants")).status_code == 401


WRONG = [
    (b"{", None, "the body is not valid JSON"),
    (b"[]", "body", "valid dictionary"),
    (b"{}", "id", "'id' is required"),
    (b'{"id": "a", "name": "A", "limit": 1}', "limit", "extra inputs are not permitted"),
    (b'{"id": "A B", "name": "A"}', "id", "should match pattern"),
    (b'{"id": "a", "name": "nul\\u0000"}', "name", "should match pattern"),
    (b'{"id": "a", "name": "\\ud800"}', "name", "valid string"),
    (b'{"id": "a", "name": "A", "limits": {"budget_nusd": -1}}', "limits.budget_nusd", "0"),
    (
        b'{"id": "a", "name": "A", "limits": {"requests_per_minute": 1e99}}',
        "limits.requests_per_minute",
        "",
    ),
    (b"[" * 60000, None, ""),
]


async def test_what_is_wrong_with_a_body_is_told_by_the_name_of_the_field(owner):
    for body, param, says in WRONG:
        headers = {"content-type": "application/json"}
        reply = await owner.post("/v1/tenants", content=body, headers=headers)
        assert error_of(reply) == (400, "invalid_request", param), body
        assert says in reply.json()["error"]["message"]


async def test_bad_paths_and_queries_are_told_too(owner):
    assert error_of(await owner.get("/v1/keys/%00")) == (400, "invalid_request", "key")
    assert error_of(await owner.get("/v1/keys?limit=0")) == (400, "invalid_request", "limit")
    assert error_of(await owner.get("/v1/audit?since=nan")) == (400, "invalid_request", "since")
    assert error_of(await owner.get("/v1/audit?target=%00")) == (400, "invalid_request", "target")
    assert error_of(await owner.get("/v1/nothing")) == (404, "route_not_found", None)
    reply = await owner.put("/v1/tenants")
    assert error_of(reply) == (405, "method_not_allowed", None)
    assert set(reply.headers["allow"].split(", ")) == {"GET", "POST"}


async def test_a_body_that_is_too_large_is_refused(owner):
    body = {"id": "a", "name": "x" * 70000}
    assert error_of(await owner.post("/v1/tenants", json=body)) == (413, "payload_too_large", None)


async def test_a_request_has_one_id_in_answer_log_and_audit_log(owner):
    headers = {"x-request-id": "mine-1"}
    reply = await owner.post("/v1/tenants", json={"id": "a", "name": "A"}, headers=headers)
    assert reply.headers["x-request-id"] == "mine-1"
    assert reply.headers["cache-control"] == "no-store"
    (entry, *_) = (await owner.get("/v1/audit")).json()["data"]
    assert (entry["target"], entry["request_id"]) == ("a", "mine-1")
    bad = await owner.get("/v1/tenants", headers={"x-request-id": "a b"})
    assert bad.headers["x-request-id"].startswith("req_")


async def test_a_defect_tells_the_client_nothing_and_the_log_all(owner, monkeypatch):
    async def broken(*_):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(rows, "one", broken)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        reply = await owner.get("/v1/tenants/default", headers={"x-request-id": "mine-2"})
    assert error_of(reply) == (500, "internal_error", None)
    assert reply.json()["error"]["message"] == "internal error"
    assert reply.headers["x-request-id"] == "mine-2"
    (failed,) = [entry for entry in logged if entry["event"] == "request_failed"]
    assert (failed["request_id"], failed["exc_info"]) == ("mine-2", True)


async def test_what_fails_at_the_commit_is_not_told_as_done(owner, monkeypatch):
    async def fails_late(session, *_):
        await (await service.begin(session, "key:x")).put(
            service.Tenant("late", "Late"), action="create"
        )
        raise ZeroDivisionError

    monkeypatch.setattr(service, "create", fails_late)
    with capture_logs():
        reply = await owner.post("/v1/tenants", json={"id": "late", "name": "Late"})
    assert reply.status_code == 500
    assert (await owner.get("/v1/tenants/late")).status_code == 404


async def test_lists_go_on_where_the_last_page_ended(owner):
    for number in range(5):
        await owner.post("/v1/tenants", json={"id": f"t{number}", "name": "T"})
    seen, after = [], {}
    while True:
        page = (await owner.get("/v1/tenants", params={"limit": 2, **after})).json()
        seen += [tenant["id"] for tenant in page["data"]]
        assert (page["object"], page["first_id"]) == ("list", page["data"][0]["id"])
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == ["default", "t0", "t1", "t2", "t3", "t4"]
    empty = (await owner.get("/v1/users")).json()
    assert empty == {
        "object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None
    }  # fmt: skip


async def test_probes_and_metrics_need_no_key(client_of, owner):
    await owner.get("/v1/tenants")
    client = client_of()
    assert (await client.get("/health/live")).json() == {"status": "live"}
    assert (await client.get("/health/ready")).json() == {"status": "ready"}
    text = (await client.get("/metrics")).text
    assert 'conch_control_requests_total{method="GET",reason="",route="/v1/tenants",' in text


def test_every_endpoint_says_what_it_needs(the_api):
    found = {(route.path, *route.methods): needs for route, needs in requirements(the_api.app)}
    assert found["/v1/tenants", "POST"].permission is Permission.TENANTS_WRITE
    assert found["/v1/tenants", "POST"].of_organisation
    assert {path for (path, _), needs in found.items() if needs is None} == {
        "/health/live", "/health/ready", "/metrics", "/login", "/login/callback", "/logout",
    }  # fmt: skip


async def test_the_address_of_a_key_is_the_clients_and_not_what_it_says(client_with):
    elsewhere = await client_with(role="viewer", tenant="default", cidrs=["203.0.113.0/24"])
    reply = await elsewhere.get("/v1/models", headers={"x-forwarded-for": "203.0.113.7"})
    assert error_of(reply) == (403, "permission_denied", None)
