"""A key hands on no more than it has, whichever way it tries; what it has is narrow in all ways."""

import asyncio
from dataclasses import replace

import pytest
from route_table import a_key
from sqlalchemy import text

from control_plane.store.edit import begin
from serving.contract.permissions import Permission, Role
from serving.contract.policy import Limits

P = Permission
SCOPES = (P.KEYS_READ, P.KEYS_WRITE, P.LIMITS_WRITE, P.USERS_READ, P.USERS_WRITE, P.INFERENCE)
END = 4_000_000_000.0
NARROW = {
    "scopes": [str(scope) for scope in SCOPES],
    "models": ["demo"],
    "adapters": ["polite"],
    "classes": ["batch"],
    "tools": ["search"],
    "cidrs": ["127.0.0.0/8"],
    "expires_at": END,
}
LIMITS = {
    "requests_per_minute": 10, "input_tokens_per_minute": 10, "output_tokens_per_minute": 10,
    "concurrent_requests": 10, "tokens_per_day": 10, "budget_nusd": 10, "burst_s": 10,
}  # fmt: skip
WIDER = {
    "scopes": [None, [*NARROW["scopes"], "audit:read"]],
    "models": [None, ["demo", "other"], ["other"]],
    "adapters": [None, ["polite", "other"]],
    "classes": [None, ["interactive"]],
    "tools": [None, ["search", "shell"]],
    "cidrs": [None, ["0.0.0.0/0"], ["127.0.0.0/8", "10.0.0.0/8"], ["::/0"]],
    "expires_at": [None, END + 1],
}
WIDER_LIMITS = [(name, wider) for name, most in LIMITS.items() for wider in (None, most + 1)]


def refused(reply, respect=None):
    said = reply.json()["error"]
    assert (reply.status_code, said["code"]) == (403, "permission_denied"), reply.text
    assert respect is None or respect in said["message"], said


@pytest.fixture
async def narrow(plane, acme, client_of):
    """A client whose key is narrowed in every respect, the id of the key, and of its twin."""
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in NARROW.items()}
    made = [
        a_key(Role.ADMIN, plane.pepper, tenant="acme", limits=Limits(**LIMITS), **fields)
        for _ in range(2)
    ]
    async with plane.database.session() as session:
        edit = await begin(session, "test")
        for _, key in made:
            await edit.put(key, action="create")
    (shown, own), (_, twin) = made
    return client_of(shown), own.id, twin.id


def a_twin(**beyond):
    return {"name": "k", "role": "admin", **NARROW, "limits": LIMITS, **beyond}


async def test_a_narrow_key_makes_its_like_and_nothing_wider(narrow):
    client, *_ = narrow
    assert (await client.post("/v1/keys", json=a_twin())).status_code == 201
    for name, values in WIDER.items():
        for value in values:
            refused(await client.post("/v1/keys", json=a_twin(**{name: value})), name)
    for name, value in WIDER_LIMITS:
        if (name, value) == ("burst_s", None):
            continue  # it has a default: it cannot be taken away
        body = a_twin(limits=LIMITS | {name: value})
        refused(await client.post("/v1/keys", json=body), f"limits.{name}")
    refused(await client.post("/v1/keys", json=a_twin(role="owner")), "role")
    refused(await client.post("/v1/keys", json={"name": "k", "role": "viewer"}))


async def test_a_narrow_key_widens_neither_itself_nor_its_like(narrow):
    client, *both = narrow
    for key in both:
        for name, values in WIDER.items():
            for value in values:
                refused(await client.patch(f"/v1/keys/{key}", json={name: value}), name)
        for name, value in WIDER_LIMITS:
            if value is not None or name != "burst_s":
                reply = await client.patch(f"/v1/keys/{key}/limits", json={name: value})
                refused(reply, f"limits.{name}")
    narrower = await client.patch(f"/v1/keys/{both[1]}", json={"models": []})
    assert narrower.status_code == 200, narrower.text


async def test_a_narrow_key_neither_takes_over_nor_harms_a_stronger_one(narrow, owner):
    client, *_ = narrow
    stronger = [
        {"role": "admin"},
        {"role": "owner"},
        a_twin(expires_at=END + 1),
        a_twin(limits=LIMITS | {"budget_nusd": 11}),
    ]
    for fields in stronger:
        made = (await owner.post("/v1/keys", json={"name": "k", "tenant": "acme"} | fields)).json()
        url = f"/v1/keys/{made['id']}"
        refused(await client.post(f"{url}/rotate", json={"overlap_s": 0}))
        refused(await client.post(f"{url}/revoke"))
        refused(await client.patch(url, json=NARROW))
        refused(await client.patch(f"{url}/limits", json=LIMITS))
        assert (await owner.get(url)).json()["secrets"] == [{"expires_at": None}]


async def test_a_narrow_key_makes_nobody_a_person_who_is_not_narrow(narrow, owner, acme):
    client, *_ = narrow
    issuer = {"id": "https://idp.test", "audience": "conch", "tenant": "acme"}
    assert (await owner.post("/v1/issuers", json=issuer)).status_code == 201
    person = {"issuer": issuer["id"], "subject": "s", "email": "e", "role": "viewer"}
    refused(await client.post("/v1/users", json=person | {"limits": LIMITS}))
    made = (await owner.post("/v1/users", json=person | {"tenant": "acme"})).json()
    url = f"/v1/users/{made['id']}"
    for path, body in (("", {"role": "admin"}), ("", {"is_active": False}), ("/limits", {})):
        refused(await client.patch(f"{url}{path}", json=body))
    refused(await client.delete(url))


async def test_a_narrow_key_leaves_the_bounds_of_its_tenant_alone(narrow):
    client, *_ = narrow
    for path in ("tenants/acme/limits", "tenants/acme/models/demo/limits", "models/demo/limits"):
        refused(await client.patch(f"/v1/{path}", json={"requests_per_minute": None}))


async def test_who_is_bound_to_a_project_changes_nothing_of_its_tenant(client_with, owner, acme):
    client = await client_with(role="admin", project="acme/web")
    refused(await client.patch("/v1/tenants/acme", json={"name": "mine"}))
    refused(await client.patch("/v1/tenants/acme", json={"is_active": True}))
    assert (await owner.get("/v1/tenants/acme")).json()["name"] == "acme"


@pytest.mark.parametrize(
    "narrowed",
    [
        {"scopes": ["issuers:write"]},
        {"expires_at": END},
        {"cidrs": ["127.0.0.0/8"]},
        {"limits": {"budget_nusd": 1}},
        {"models": ["demo"]},
    ],
)
async def test_a_narrowed_owner_trusts_no_issuer_that_could_make_owners(
    client_with, owner, acme, narrowed
):
    """Else it would mint itself tokens of a person whom nothing narrows."""
    client = await client_with(role="owner", **narrowed)
    own = {"id": "https://mine.test", "audience": "a"}
    claims = {"tenant_claim": "t", "roles_claim": "r", "roles": {"me": "owner"}}
    refused(await client.post("/v1/issuers", json=own | claims))
    refused(await client.post("/v1/issuers", json=own | claims | {"tenant": "acme"}))
    assert (await owner.post("/v1/issuers", json=own)).status_code == 201
    refused(await client.patch(f"/v1/issuers/{own['id']}", json={"audience": "b"}))


WAITING = """SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"""


async def is_waiting(database):
    """Until somebody waits for its turn to edit."""
    async with asyncio.timeout(5), database.connection() as connection:
        while not await connection.scalar(text(WAITING)):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "keys", {"name": "k", "role": "viewer"}),
        ("PATCH", "projects/acme/web", {"log_privacy": "full"}),
    ],
)
async def test_a_key_that_is_revoked_while_it_waits_changes_nothing(
    narrow, owner, plane, method, path, body
):
    made = a_key(Role.ADMIN, plane.pepper, tenant="acme")
    admin = narrow[0]
    async with plane.database.session() as session:
        await (await begin(session, "test")).put(made[1], action="create")
    admin.headers["authorization"] = f"Bearer {made[0]}"
    async with plane.database.session() as session:
        edit = await begin(session, "test")
        waiting = asyncio.create_task(admin.request(method, f"/v1/{path}", json=body))
        await is_waiting(plane.database)
        await edit.put(replace(made[1], is_active=False), action="revoke")
    assert (await waiting).status_code == 401
