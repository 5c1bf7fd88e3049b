"""People and the issuers that vouch for them, over the API."""

import pytest

IDP = "https://idp.test/realms/acme"


@pytest.fixture
async def idp(owner, acme):
    issuer = {"id": IDP, "audience": "conch", "roles_claim": "roles", "roles": {"boss": "admin"}}
    reply = await owner.post("/v1/issuers", json=issuer)
    assert reply.status_code == 201, reply.text
    return reply.json()


def person(subject, role="viewer", **more):
    return {
        "issuer": IDP,
        "subject": subject,
        "email": f"{subject}@acme.test",
        "role": role,
        **more,
    }


async def test_a_person_is_added_changed_and_removed(owner, idp):
    made = (await owner.post("/v1/users", json=person("ann", tenant="acme"))).json()
    url = f"/v1/users/{made['id']}"
    changed = (await owner.patch(url, json={"role": "developer", "is_active": False})).json()
    assert (changed["role"], changed["is_active"]) == ("developer", False)
    assert changed["tenant"] == "acme"
    limited = (await owner.patch(f"{url}/limits", json={"requests_per_minute": 5})).json()
    assert limited["limits"]["requests_per_minute"] == 5
    assert (await owner.get("/v1/users?tenant=acme")).json()["data"] == [limited]
    assert (await owner.get("/v1/users?tenant=other")).json()["data"] == []
    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).status_code == 404


async def test_a_person_is_added_once(owner, idp):
    assert (await owner.post("/v1/users", json=person("ann"))).status_code == 201
    assert (await owner.post("/v1/users", json=person("ann"))).status_code == 409
    assert (await owner.post("/v1/users", json=person("bob"))).status_code == 201


async def test_an_admin_makes_nobody_more_than_an_admin(client_with, idp):
    admin = await client_with(role="admin")
    assert (await admin.post("/v1/users", json=person("ann", "owner"))).status_code == 403
    made = (await admin.post("/v1/users", json=person("ann", "developer"))).json()
    url = f"/v1/users/{made['id']}"
    assert (await admin.patch(url, json={"role": "owner"})).status_code == 403
    assert (await admin.patch(url, json={"role": "admin"})).status_code == 200


async def test_an_admin_does_not_demote_an_owner(client_with, owner, idp):
    made = (await owner.post("/v1/users", json=person("ann", "owner"))).json()
    admin = await client_with(role="admin")
    url = f"/v1/users/{made['id']}"
    assert (await admin.patch(url, json={"role": "viewer"})).status_code == 403
    assert (await admin.delete(url)).status_code == 403


async def test_a_tenant_adds_people_of_its_own_issuer_only(client_with, owner, idp):
    own = {"id": "https://own.test", "audience": "c", "tenant": "acme"}
    assert (await owner.post("/v1/issuers", json=own)).status_code == 201
    admin = await client_with(role="admin", tenant="acme")
    assert (await admin.post("/v1/users", json=person("ann"))).status_code == 404
    made = await admin.post("/v1/users", json=person("ann") | {"issuer": own["id"]})
    assert (made.status_code, made.json()["tenant"]) == (201, "acme")
    elsewhere = person("bob", tenant="other") | {"issuer": own["id"]}
    assert (await owner.post("/v1/users", json=elsewhere)).status_code == 400


async def test_an_issuer_is_changed_and_goes_when_nobody_is_of_it(owner, idp):
    url = f"/v1/issuers/{IDP.replace('/', '%2F')}"
    changed = (await owner.patch(url, json={"algorithms": ["ES256"], "audience": "other"})).json()
    assert changed == idp | {"algorithms": ["ES256"], "audience": "other"}
    assert (await owner.get(f"/v1/issuers/{IDP}")).json() == changed
    made = (await owner.post("/v1/users", json=person("ann"))).json()
    assert (await owner.delete(url)).status_code == 409
    await owner.delete(f"/v1/users/{made['id']}")
    assert (await owner.delete(url)).status_code == 204
    assert (await owner.get(url)).status_code == 404


async def test_an_issuer_that_cannot_be_trusted_is_not_made(owner):
    for wrong in (
        {"id": "http://idp.test"},
        {"id": "https://idp.test/?a=b"},
        {"id": "ftp://idp.test"},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": []},
        {"roles": {"boss": "root"}},
    ):
        reply = await owner.post(
            "/v1/issuers", json={"id": "https://idp.test", "audience": "conch", **wrong}
        )
        assert reply.status_code == 400, wrong
        assert reply.json()["error"]["param"].startswith(next(iter(wrong)))


async def test_an_issuer_on_this_machine_may_do_without_tls(owner):
    for url in ("http://127.0.0.1:9999", "http://localhost:9999/realm"):
        assert (
            await owner.post("/v1/issuers", json={"id": url, "audience": "c"})
        ).status_code == 201
