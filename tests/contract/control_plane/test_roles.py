"""Every endpoint for every role, wherever it is bound: allowed exactly when the table says so."""

import os

import pytest
from route_table import FRAMEWORK, a_key, endpoints, routes_outside_the_table

from control_plane.access import Requirement
from control_plane.store.edit import begin
from serving.contract.permissions import ROLE_PERMISSIONS, Permission, Role

BINDINGS = {
    "organisation": {},
    "tenant": {"tenant": "acme"},
    "project": {"tenant": "acme", "project": "acme/web"},
}
OPEN = {
    "GET /health/live", "GET /health/ready", "GET /metrics",
    "GET /login", "GET /login/callback", "POST /logout",
}  # fmt: skip
FOR_ANYBODY = {"GET /v1/me"}
# Nothing of these names is there, so that who is allowed changes nothing either.
NOTHING = {
    "tenant": "none",
    "project": "none",
    "key": "none",
    "user": "none",
    "issuer": "https://none.test",
    "model": "none",
    "event_id": "none",
    "guardrail": "none",
}
# No body of any endpoint: who is allowed is told so, and who is not never gets that far.
NO_BODY = {"no such field": 1}
TO_READ = {
    "tenants": Permission.TENANTS_READ,
    "projects": Permission.PROJECTS_READ,
    "keys": Permission.KEYS_READ,
    "users": Permission.USERS_READ,
    "issuers": Permission.USERS_READ,
    "models": Permission.MODELS_READ,
    "policy": Permission.POLICY_READ,
    "guardrails": Permission.POLICY_READ,
    "audit": Permission.AUDIT_READ,
    "organization": Permission.USAGE_READ,
    "usage": Permission.USAGE_READ,
    "contents": Permission.CONTENT_READ,
}
TO_WRITE = {
    "tenants": Permission.TENANTS_WRITE,
    "projects": Permission.PROJECTS_WRITE,
    "keys": Permission.KEYS_WRITE,
    "users": Permission.USERS_WRITE,
    "issuers": Permission.ISSUERS_WRITE,
    "models": Permission.PRICES_WRITE,
    "policy": Permission.POLICY_WRITE,
    "guardrails": Permission.POLICY_WRITE,
    # Who may say that texts are kept may say that they are not.
    "contents": Permission.PROJECTS_WRITE,
}
TO_LIMIT = Permission.LIMITS_WRITE
SAFE = frozenset({"GET", "HEAD"})
IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"


@pytest.fixture
async def keys_of_all_roles(plane, acme):
    """A client's key by role and binding, and by each single permission of an owner's."""
    made = {
        **{
            (role, None, binding): a_key(role, plane.pepper, **fields)
            for role in Role
            for binding, fields in BINDINGS.items()
        },
        **{
            (Role.OWNER, scope, "organisation"): a_key(Role.OWNER, plane.pepper, scopes=(scope,))
            for scope in Permission
        },
    }
    async with plane.database.session() as session:
        edit = await begin(session, "test")
        for _, document in made.values():
            await edit.put(document, action="create")
    return {who: text for who, (text, _) in made.items()}


def is_allowed(needs, role, scope, binding):
    if needs is None:
        return True
    if needs.of_organisation and binding != "organisation":
        return False
    has = ROLE_PERMISSIONS[role] & ({scope} if scope else set(Permission))
    return needs.permission is None or needs.permission in has


async def ask(client, endpoint):
    body = NO_BODY if endpoint.body is not None else None
    return await client.request(endpoint.method, endpoint.path(NOTHING), json=body)


async def check(client, endpoint, who):
    reply = await ask(client, endpoint)
    where = (endpoint.name, *who, reply.text[:200])
    assert reply.status_code < 500 or endpoint.name in OPEN, where
    if is_allowed(endpoint.needs, *who):
        assert reply.status_code not in (403,), where
        assert reply.status_code != 401 or endpoint.name in OPEN, where
    else:
        assert reply.status_code == 403, where
        assert reply.json()["error"]["code"] == "permission_denied", where


def is_in_sample(endpoint, number, role, scope, binding):
    """Every endpoint meets every role at one binding, and the one permission that opens it."""
    if scope is None:
        return (number + list(Role).index(role)) % len(BINDINGS) == list(BINDINGS).index(binding)
    is_its_own = endpoint.needs is not None and endpoint.needs.permission is scope
    return is_its_own or (number + list(Permission).index(scope)) % len(Permission) == 0


async def test_every_endpoint_is_open_to_exactly_whom_the_permission_table_says(
    the_api, client_of, keys_of_all_roles
):
    """At full scale it is the whole matrix, else every third of the bindings."""
    for who, key in keys_of_all_roles.items():
        client = client_of(key)
        for number, endpoint in enumerate(endpoints(the_api)):
            if IS_FULL or is_in_sample(endpoint, number, *who):
                await check(client, endpoint, who)


async def test_who_is_not_known_gets_to_the_open_endpoints_only(the_api, client_of, owner_key):
    for key in (None, f"{owner_key[:-1]}{'a' if owner_key[-1] != 'a' else 'b'}"):
        client = client_of(key)
        for endpoint in endpoints(the_api):
            reply = await ask(client, endpoint)
            is_refused = reply.status_code == 401 and "API key" in reply.text
            assert is_refused == (endpoint.name not in OPEN), (endpoint.name, reply.text)


def test_every_endpoint_declares_what_it_needs(the_api):
    found = {each.name: each.needs for each in endpoints(the_api)}
    assert {name for name, needs in found.items() if needs is None} == OPEN
    assert {name for name, needs in found.items() if needs == Requirement(None)} == FOR_ANYBODY
    assert routes_outside_the_table(the_api) <= FRAMEWORK


def test_every_endpoint_needs_the_permission_for_what_it_is_about(the_api):
    """So that the table is asked for the right thing: each of `TO_READ` and `TO_WRITE` is used."""
    asked = {TO_LIMIT}
    for each in endpoints(the_api):
        if each.needs is None or each.needs.permission is None:
            continue
        about = each.route.path.split("/")[2]
        expected = (TO_READ if each.method in SAFE else TO_WRITE)[about]
        if each.route.path.endswith("/limits"):
            expected = TO_LIMIT
        assert each.needs.permission is expected, each.name
        asked.add(expected)
    assert asked == {TO_LIMIT, *TO_READ.values(), *TO_WRITE.values()}


def test_what_is_of_no_tenant_is_for_the_organisation_to_change(the_api):
    """Prices, issuers and settings bind everybody: nobody bound to a tenant writes them.

    Guardrails may be a tenant's own; `test_guardrails_api` has who writes which.
    """
    of_all = {Permission.PRICES_WRITE, Permission.ISSUERS_WRITE, Permission.POLICY_WRITE}
    for each in endpoints(the_api):
        if each.route.path.startswith("/v1/guardrails"):
            continue
        if each.needs is not None and each.needs.permission in of_all:
            assert each.needs.of_organisation, each.name
