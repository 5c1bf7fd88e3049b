"""Odd texts in every parameter of every endpoint: told as bad input, or kept to the letter."""

import json
import os
from itertools import cycle, islice
from urllib.parse import quote

import pytest
from route_table import endpoints, usage_parameters
from sqlalchemy import func, select

from control_plane.store.tables import metadata

IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
PAYLOADS = [
    "'; DROP TABLE tenants; --", "' OR '1'='1", '" OR ""="', "%' OR name LIKE '%", "$1", "%s%(a)s",
    "\\", "a\\'b", "\x00", "a\x00b", "\ud800", "a\udfff", "A" * 30_000, "9" * 5_000, "é" * 129,
    "ａｃｍｅ", "аcme", "ACME", "acme\u202e", "acme\u200b", " acme", "acme\n", "acme/../other",
    "../../etc/passwd", "%00", "%2e%2e%2f", "{}{0}{a.__class__}", "${jndi:ldap://x}", "<script>",
    "\r\nx-injected: 1", "\x1b[31m", "\x9b31m", "1e999", "NaN", "-1", "null", "[]", "\u2028", "",
    "page_999999999999", "page_137438953472", "137438953472", "²",
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
]  # fmt: skip
EACH = len(PAYLOADS) if IS_FULL else 3
# Bodies that are taken as they are; every field of their models is put to the test in turn.
BODIES = {
    "NewTenant": {"id": "acme", "name": "n"},
    "NewProject": {"id": "acme/web", "name": "n"},
    "NewKey": {"name": "k", "role": "viewer"},
    "NewUser": {"issuer": "https://idp.test", "subject": "s", "email": "e", "role": "viewer"},
    "NewIssuer": {"id": "https://idp.test", "audience": "a"},
    "Rollback": {"version": 0},
    "NewGuardrails": {"id": "acme/strict"},
}
IDS = {
    "tenant": "acme",
    "project": "web",
    "key": "none",
    "user": "none",
    "issuer": "https://idp.test",
    "model": "demo",
    "event_id": "none",
    "guardrail": "strict",
}
SLUGS = [
    "ａｃｍｅ",
    "аcme",
    "ACME",
    "acme\u202e",
    "acme\u200b",
    " acme",
    "acme\n",
    "acme-",
    "a" * 41,
]


@pytest.fixture
async def idp(owner, acme):
    body = {"id": IDS["issuer"], "audience": "a"}
    assert (await owner.post("/v1/issuers", json=body)).status_code == 201


def shaped(schema, payload):
    """`payload` in the form that a field has."""
    kinds = {each.get("type") for each in schema.get("anyOf", [schema])}
    if "array" in kinds:
        return [payload]
    return {payload: "viewer"} if "object" in kinds else payload


def bodies(model, payloads):
    """Each field of a body with an odd text in it."""
    base = BODIES.get(model.__name__, {})
    for name, schema in model.model_json_schema()["properties"].items():
        for payload in islice(payloads, EACH):
            yield payload, base | {name: shaped(schema, payload)}
    yield from ((payload, {payload: 1}) for payload in islice(payloads, EACH))


def check(reply, *where):
    """A defect is a 500, and so is what is stored in another way than it was sent."""
    assert reply.status_code < 500, (*where, reply.text)
    assert "x-injected" not in reply.headers
    assert "\n" not in reply.headers["x-request-id"]
    if reply.status_code in (200, 201) and where[-1].strip():
        said = where[-1].strip()
        assert any(each in reply.text for each in (json.dumps(said, ensure_ascii=False), said))


async def test_no_body_is_odd_enough_for_a_defect(the_api, owner, idp, control_database):
    payloads = cycle(PAYLOADS)
    for each in endpoints(the_api):
        if each.body is None:
            continue
        for payload, body in bodies(each.body, payloads):
            reply = await owner.request(
                each.method,
                each.path(IDS),
                content=json.dumps(body),
                headers={"content-type": "application/json"},
            )
            check(reply, each.name, body, payload)
    async with control_database.session() as session:
        for table in metadata.sorted_tables:
            await session.execute(select(func.count()).select_from(table))


async def test_no_path_and_no_query_is_odd_enough_for_a_defect(the_api, owner, idp):
    payloads = cycle(payload for payload in PAYLOADS if payload.encode(errors="ignore"))
    for each in endpoints(the_api):
        if each.method not in ("GET", "DELETE") or each.name == "GET /login":
            continue
        names = [name for name in IDS if f"{{{name}" in each.route.path]
        for name in names:
            for payload in islice(payloads, EACH):
                text = quote(payload, safe="", errors="replace")
                reply = await owner.request(each.method, each.path(IDS | {name: text}))
                assert reply.status_code < 500, (each.name, payload, reply.text)
        parameters = each.parameters
        if "usage" in each.route.tags and not names:
            parameters = usage_parameters()
        for name in parameters:
            for payload in islice(payloads, EACH):
                text = quote(payload, safe="", errors="replace")
                start = "start_time=1749945600&" if "organization" in each.route.path else ""
                reply = await owner.get(f"{each.route.path}?{start}{name}={text}")
                assert reply.status_code < 500, (each.name, name, payload, reply.text)


async def test_no_header_is_odd_enough_for_a_defect(client_of, owner):
    for payload in (b"'; --", b"\xff\xfe", b"a" * 30_000, b"%00", b"\x80", b"Bearer \xc0\x80"):
        for name in (b"authorization", b"x-request-id", b"if-match", b"cookie", b"origin"):
            client = client_of() if name == b"authorization" else owner
            reply = await client.patch("/v1/policy/settings", json={}, headers=[(name, payload)])
            assert reply.status_code < 500, (name, payload, reply.text)


@pytest.mark.parametrize("slug", SLUGS)
async def test_no_other_letters_look_like_a_tenant(owner, client_with, acme, slug):
    reply = await owner.post("/v1/tenants", json={"id": slug, "name": "n"})
    assert reply.status_code == 400
    assert (await owner.get(f"/v1/tenants/{quote(slug)}")).status_code in (400, 404)
    made = await owner.post("/v1/keys", json={"name": "k", "role": "viewer", "tenant": slug})
    assert made.status_code == 400
    project = await owner.post("/v1/projects", json={"id": f"{slug}/web", "name": "n"})
    assert project.status_code == 400


@pytest.mark.parametrize("name", ["a\x9b31mb", "a\u202eb", "a\u2028b", "a\u2066b", "a\x1b[2Jb"])
async def test_no_name_does_anything_to_the_terminal_that_shows_it(owner, name):
    for path, body in (
        ("tenants", {"id": "t", "name": name}),
        ("keys", {"name": name, "role": "viewer"}),
        ("issuers", {"id": "https://idp.test", "audience": name}),
    ):
        reply = await owner.post(f"/v1/{path}", json=body)
        assert reply.status_code == 400, (path, reply.text)
