"""Who is bound to a tenant or a project sees and changes nothing else, as if it were not there."""

import pytest


@pytest.fixture
async def foreign(owner, acme):
    """Something of every kind in tenant `other`, by the path it is at."""
    await owner.post(
        "/v1/issuers", json={"id": "https://other.test", "audience": "c", "tenant": "other"}
    )
    await owner.post("/v1/issuers", json={"id": "https://all.test", "audience": "c"})
    user = {"issuer": "https://other.test", "subject": "1", "email": "e", "role": "viewer"}
    made_user = await owner.post("/v1/users", json=user | {"tenant": "other"})
    made_key = await owner.post("/v1/keys", json={"name": "k", "project": "other/web"})
    return {
        "tenants": "other",
        "projects": "other/web",
        "keys": made_key.json()["id"],
        "users": made_user.json()["id"],
        "issuers": "https://other.test",
    }


def unknown(foreign):
    return {
        **dict.fromkeys(foreign, "none"),
        "projects": "none/web",
        "issuers": "https://none.test",
    }


CHANGES = [
    ("PATCH", "tenants", "", {"name": "mine"}),
    ("PATCH", "projects", "", {"name": "mine"}),
    ("PATCH", "projects", "/limits", {"requests_per_minute": 1}),
    ("PATCH", "keys", "", {"name": "mine"}),
    ("PATCH", "keys", "/limits", {"requests_per_minute": 1}),
    ("POST", "keys", "/rotate", {}),
    ("POST", "keys", "/revoke", None),
    ("PATCH", "users", "", {"email": "mine"}),
    ("PATCH", "users", "/limits", {"requests_per_minute": 1}),
    ("DELETE", "users", "", None),
]


@pytest.mark.parametrize("bound", [{"tenant": "acme"}, {"project": "acme/web"}])
@pytest.mark.parametrize("role", ["owner", "admin"])
async def test_what_is_of_another_tenant_looks_as_if_it_were_not_there(
    client_with, foreign, role, bound
):
    client = await client_with(role=role, **bound)
    for kind in foreign:
        listed = await client.get(f"/v1/{kind}")
        assert "other" not in listed.text, kind
        await is_as_unknown(client, "GET", kind, "", None, foreign)
    for method, kind, path, body in CHANGES:
        await is_as_unknown(client, method, kind, path, body, foreign)
    assert "other" not in (await client.get("/v1/audit")).text


async def is_as_unknown(client, method, kind, path, body, foreign):
    replies = [
        await client.request(method, f"/v1/{kind}/{ids[kind]}{path}", json=body)
        for ids in (foreign, unknown(foreign))
    ]
    assert [reply.status_code for reply in replies] == [404, 404], (method, kind, path)
    there, nowhere = (reply.json()["error"] for reply in replies)
    ids = (foreign[kind], unknown(foreign)[kind])
    assert there["message"].replace(ids[0], "") == nowhere["message"].replace(ids[1], "")


@pytest.mark.parametrize("bound", [{"tenant": "acme"}, {"project": "acme/web"}])
async def test_nothing_is_made_in_another_tenant(client_with, foreign, bound):
    client = await client_with(role="owner", **bound)
    person = {"subject": "2", "email": "e", "role": "viewer"}
    for path, body in (
        ("projects", {"id": "other/mine", "name": "n"}),
        ("keys", {"name": "k", "tenant": "other", "role": "viewer"}),
        ("keys", {"name": "k", "project": "other/web"}),
        ("users", {**person, "issuer": "https://other.test"}),
        ("users", {**person, "issuer": "https://all.test"}),
    ):
        reply = await client.post(f"/v1/{path}", json=body)
        assert reply.status_code in (400, 404), (path, body, reply.text)
    for path, body in (
        ("tenants", {"id": "new", "name": "n"}),
        ("issuers", {"id": "https://mine.test", "audience": "c"}),
    ):
        reply = await client.post(f"/v1/{path}", json=body)
        assert reply.status_code == 403, (path, body, reply.text)


async def test_what_is_of_the_organisation_is_not_a_tenants_to_change(client_with, acme):
    client = await client_with(role="owner", tenant="acme")
    for method, path, body in (
        ("PATCH", "tenants/acme/limits", {"requests_per_minute": 1}),
        ("PATCH", "tenants/acme", {"is_active": False}),
        ("PATCH", "tenants/acme/models/demo/limits", {"requests_per_minute": 1}),
        ("PATCH", "models/demo/prices", {"price": {"input_nusd": 0}}),
        ("PATCH", "models/demo/limits", {"requests_per_minute": 1}),
        ("PATCH", "policy/settings", {"retention_days": 1}),
        ("POST", "policy/settings/rollback", {"version": 0}),
        ("GET", "policy/versions", None),
        ("GET", "policy/diff?from=0&to=1", None),
    ):
        reply = await client.request(method, f"/v1/{path}", json=body)
        assert reply.status_code == 403, (path, reply.text)


async def test_a_project_does_not_set_its_own_bounds_nor_sees_its_siblings(
    client_with, owner, acme
):
    await owner.post("/v1/projects", json={"id": "acme/api", "name": "api"})
    client = await client_with(role="owner", project="acme/web")
    listed = (await client.get("/v1/projects")).json()["data"]
    assert [project["id"] for project in listed] == ["acme/web"]
    assert (await client.get("/v1/projects/acme/api")).status_code == 404
    assert (await client.get("/v1/tenants/acme")).status_code == 200
    own = await client.patch("/v1/projects/acme/web/limits", json={"requests_per_minute": 1})
    new = await client.post("/v1/projects", json={"id": "acme/new", "name": "n"})
    assert (own.status_code, new.status_code) == (403, 403)


async def test_a_bound_key_makes_what_is_bound_as_it_is(client_with, acme):
    for bound in ({"tenant": "acme"}, {"project": "acme/web"}):
        client = await client_with(role="admin", **bound)
        made = (await client.post("/v1/keys", json={"name": "k", "role": "viewer"})).json()
        assert (made["tenant"], made["project"]) == ("acme", bound.get("project"))
