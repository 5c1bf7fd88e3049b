"""API keys over the API: shown once, rotated, revoked, and never worth more than their maker."""

import time

from serving.contract.api_keys import digest, parse


def error_of(reply):
    return reply.status_code, reply.json()["error"]["code"]


async def opens(client_of, key):
    """Whether the key gets through identification, whatever it may then do."""
    return (await client_of(key).get("/v1/models")).status_code == 200


async def test_a_key_is_shown_when_it_is_made_and_never_again(owner, acme, client_of, plane):
    made = (
        await owner.post(
            "/v1/keys",
            json={
                "name": "ci", "project": "acme/web", "scopes": ["inference", "models:read"],
                "models": ["demo"], "classes": ["batch"], "cidrs": ["127.0.0.1", "::1/128"],
                "limits": {"requests_per_minute": 60},
            },
        )
    ).json()  # fmt: skip
    assert (made["role"], made["tenant"], made["project"]) == ("service", "acme", "acme/web")
    assert made["cidrs"] == ["127.0.0.1/32", "::1/128"]
    key = made.pop("key")
    assert await opens(client_of, key)
    shown = (await owner.get(f"/v1/keys/{made['id']}")).json()
    assert shown == made
    assert shown["secrets"] == [{"expires_at": None}]
    assert shown["limits"]["requests_per_minute"] == 60
    listed = (await owner.get("/v1/keys", params={"project": "acme/web"})).json()["data"]
    assert listed == [made]
    everything = (await owner.get("/v1/audit")).text + (await owner.get("/v1/keys")).text
    assert parse(key).secret not in everything
    assert digest(parse(key), plane.pepper) not in everything


async def test_a_rotated_key_has_two_secrets_for_the_overlap(owner, acme, client_of):
    made = (await owner.post("/v1/keys", json={"name": "k", "project": "acme/web"})).json()
    rotated = (await owner.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_s": 60})).json()
    assert (rotated["id"], rotated["key"] != made["key"]) == (made["id"], True)
    assert await opens(client_of, made["key"])
    assert await opens(client_of, rotated["key"])
    newest, old = rotated["secrets"]
    assert newest["expires_at"] is None
    assert time.time() < old["expires_at"] <= time.time() + 60
    again = (await owner.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_s": 0})).json()
    assert [await opens(client_of, each["key"]) for each in (made, rotated, again)] == [
        False, False, True,
    ]  # fmt: skip


async def test_a_revoked_key_stays_revoked(owner, acme, client_of):
    made = (await owner.post("/v1/keys", json={"name": "k", "project": "acme/web"})).json()
    assert (await owner.post(f"/v1/keys/{made['id']}/revoke")).json()["is_active"] is False
    assert not await opens(client_of, made["key"])
    assert error_of(await owner.post(f"/v1/keys/{made['id']}/rotate", json={})) == (409, "conflict")
    reply = await owner.patch(f"/v1/keys/{made['id']}", json={"is_active": True})
    assert error_of(reply) == (400, "invalid_request")


async def test_a_key_can_be_changed_and_limited(owner, acme):
    made = (await owner.post("/v1/keys", json={"name": "k", "project": "acme/web"})).json()
    url = f"/v1/keys/{made['id']}"
    expires_at = int(time.time()) + 3600
    changed = (
        await owner.patch(url, json={"name": "n", "models": ["demo"], "expires_at": expires_at})
    ).json()
    assert (changed["name"], changed["models"], changed["expires_at"]) == (
        "n", ["demo"], expires_at,
    )  # fmt: skip
    limited = (await owner.patch(f"{url}/limits", json={"budget_nusd": 5})).json()
    limited = (await owner.patch(f"{url}/limits", json={"tokens_per_day": 7})).json()
    assert (limited["limits"]["budget_nusd"], limited["limits"]["tokens_per_day"]) == (5, 7)
    assert limited["models"] == ["demo"]
    free = (await owner.patch(f"{url}/limits", json={"budget_nusd": None})).json()
    assert (free["limits"]["budget_nusd"], free["limits"]["tokens_per_day"]) == (None, 7)


MAKES_NO_SENSE = [
    ({}, 400, "a service key is of a project"),
    ({"project": "acme/none"}, 404, "no project 'acme/none'"),
    ({"tenant": "none", "role": "viewer"}, 404, "no tenant 'none'"),
    ({"tenant": "other", "project": "acme/web"}, 400, "is not of tenant 'other'"),
    ({"project": "acme/web", "expires_at": 5}, 400, "has passed already"),
    ({"project": "acme/web", "cidrs": ["10.0.0.1/8"]}, 400, "has host bits set"),
    ({"project": "acme/web", "scopes": ["everything"]}, 400, "scopes[0]"),
    ({"project": "acme/web", "classes": ["urgent"]}, 400, "classes[0]"),
    ({"project": "acme/web", "role": "root"}, 400, "'role'"),
]


async def test_a_key_that_makes_no_sense_is_not_made(owner, acme):
    for body, status, says in MAKES_NO_SENSE:
        reply = await owner.post("/v1/keys", json={"name": "k", **body})
        assert reply.status_code == status, body
        assert says in reply.json()["error"]["message"]


BEYOND = {
    "role": {"role": "admin"},
    "models": {"models": ["demo", "other"]},
    "models, where they are all": {"models": None},
    "cidrs": {"cidrs": ["0.0.0.0/0"]},
    "expires_at": {"expires_at": 9e9},
    "limits.requests_per_minute": {"limits": {"requests_per_minute": 11}},
}


async def test_a_key_grants_no_more_than_it_has(client_with, acme):
    own = {
        "models": ["demo"],
        "cidrs": ["127.0.0.0/8"],
        "expires_at": time.time() + 3600,
        "limits": {"requests_per_minute": 10},
    }
    developer = await client_with(role="developer", project="acme/web", **own)
    within = await developer.post("/v1/keys", json={"name": "k", **own})
    assert within.status_code == 201, within.text
    for respect, beyond in BEYOND.items():
        reply = await developer.post("/v1/keys", json={"name": "k", **own, **beyond})
        assert error_of(reply) == (403, "permission_denied"), respect
        assert respect.partition(",")[0] in reply.json()["error"]["message"]
        if beyond.keys() & {"models", "cidrs", "expires_at"}:
            reply = await developer.patch(f"/v1/keys/{within.json()['id']}", json=beyond)
            assert error_of(reply) == (403, "permission_denied"), respect


async def test_nobody_touches_a_key_that_may_do_more(client_with, owner, acme):
    developer = await client_with(role="developer", tenant="acme")
    admin = (
        await owner.post("/v1/keys", json={"name": "a", "role": "admin", "tenant": "acme"})
    ).json()
    url = f"/v1/keys/{admin['id']}"
    assert (await developer.get(url)).status_code == 200
    for path, body in (("rotate", {}), ("revoke", None)):
        reply = await developer.post(f"{url}/{path}", json=body)
        assert error_of(reply) == (403, "permission_denied")
    assert error_of(await developer.patch(url, json={"name": "x"})) == (403, "permission_denied")


async def test_the_only_owner_cannot_lock_everybody_out(owner, owner_key):
    url = f"/v1/keys/{parse(owner_key).id}"
    assert error_of(await owner.post(f"{url}/revoke")) == (409, "conflict")
    soon = {"expires_at": time.time() + 60}
    assert error_of(await owner.patch(url, json=soon)) == (409, "conflict")
    assert (await owner.get(url)).json()["is_active"] is True
    second = (await owner.post("/v1/keys", json={"name": "2", "role": "owner"})).json()
    assert (await owner.post(f"/v1/keys/{second['id']}/revoke")).status_code == 200
