"""Two tenants with something of every kind: for every route, nobody of one meets the other.

Made from the route table: a route, a parameter or a body that this test cannot fill fails it.
"""

import os
from itertools import cycle

import pytest
from route_table import a_key, endpoints, usage_parameters
from sqlalchemy import select, text
from usage_events import an_event

from control_plane.store import usage_contents
from control_plane.store.edit import begin
from control_plane.store.tables import metadata
from control_plane.store.usage_contents import StoredContent
from control_plane.usage.ledger import book
from control_plane.usage.query import Dimension
from serving.contract.guardrails import GuardrailPolicy
from serving.contract.permissions import Role
from serving.contract.policy import Issuer, Limits, Project, Tenant, User

MARK = "rivalco"
BEGAN_AT = 1_750_000_000.0
START = {"start_time": "1749945600"}
OURS = {
    "tenant": {"tenant": "acme"},
    "project": {"tenant": "acme", "project": "acme/web"},
}
THEIRS = {
    "tenant": MARK,
    "project": "vault",
    "key": "",  # made by the fixture
    "user": f"u{MARK}",
    "issuer": f"https://{MARK}.test",
    "model": f"{MARK}-model",
    "event_id": f"event-{MARK}",
    "guardrail": f"{MARK}/strict",
}
NOBODYS = {
    "tenant": "nowhere",
    "project": "vault",
    "key": "nokey",
    "user": "nouser",
    "issuer": "https://nowhere.test",
    "model": "nomodel",
    "event_id": "noevent",
    "guardrail": "nowhere/strict",
}
# Models are of the whole organisation: whoever may read one, may.
SHARED = {"/v1/models", "/v1/models/{model}"}
# What says nothing of anybody: versions, settings, and who asks.
ABOUT_NOBODY = {"/v1/policy", "/v1/policy/settings", "/v1/me"}
IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
USAGE_TABLES = ("usage_events", "usage_rollups", "contents")
BODIES = {
    "NewTenant": {"id": "ours", "name": "n"},
    "NewProject": {"id": f"{MARK}/ours", "name": "n"},
    "NewKey": {"name": "k", "role": "viewer", "tenant": MARK},
    "NewUser": {
        "issuer": THEIRS["issuer"], "subject": "2", "email": "e", "role": "viewer", "tenant": MARK
    },
    "NewIssuer": {"id": f"https://ours.{MARK}.test", "audience": "a", "tenant": MARK},
    "TenantPatch": {"name": "ours"},
    "ProjectPatch": {"name": "ours", "log_privacy": "full", "is_active": False},
    "KeyPatch": {"name": "ours", "models": None, "cidrs": None},
    "UserPatch": {"email": "ours", "role": "viewer", "is_active": False},
    "IssuerPatch": {"audience": "ours"},
    "LimitsBody": {"requests_per_minute": 1},
    "Rotation": {"overlap_s": 0},
    "Prices": {"price": {"input_nusd": 1}},
    "SettingsPatch": {"retention_days": 1},
    "Rollback": {"version": 0},
    "NewGuardrails": {"id": f"{MARK}/ours"},
    "GuardrailsBody": {"checks": [{"kind": "secrets", "action": "block"}]},
}  # fmt: skip


def documents(tenant, mark, pepper):
    """A tenant with something of every kind; `mark` is in all that is its own."""
    limits = Limits(requests_per_minute=77)
    key_text, key = a_key(Role.OWNER, pepper, tenant=tenant, models=(f"{mark}-model",))
    return key_text, [
        Tenant(tenant, f"{mark} name", limits=limits, model_limits={f"{mark}-model": limits}),
        Project(f"{tenant}/vault", tenant, f"{mark} project"),
        Issuer(f"https://{mark}.test", "conch", tenant=tenant),
        GuardrailPolicy(f"{tenant}/strict", tenant=tenant),
        User(f"u{mark}", f"https://{mark}.test", mark, f"{mark}@x", Role.OWNER, tenant=tenant),
        key,
    ]


@pytest.fixture
async def rival(plane, acme):
    """Their owner's key in the clear, and what is theirs by the name of the path parameter."""
    text_, theirs = documents(MARK, MARK, plane.pepper)
    ids = THEIRS | {"key": theirs[-1].id}
    principal = f"key:{ids['key']}"
    async with plane.database.session() as session:
        for table in USAGE_TABLES:
            await session.execute(text(f"DELETE FROM {table}"))
        edit = await begin(session, principal)
        for document in theirs:
            await edit.put(document, action="create")
        await book(session, [_used(principal)])
        stored = (ids["event_id"], MARK, f"{MARK}/vault", BEGAN_AT)
        await usage_contents.add(session, [StoredContent(*stored, b'["x"]', b'"y"', False, 4e9)])
    return text_, ids


def _used(principal):
    return an_event(
        id=THEIRS["event_id"], request_id=f"req-{MARK}", began_at=BEGAN_AT, tenant=MARK,
        project=f"{MARK}/vault", principal=principal, model=f"{MARK}-model", adapter=f"{MARK}-a",
        user=f"{MARK}-user", session=f"{MARK}-session", route=f"{MARK}-route",
    )  # fmt: skip


@pytest.fixture
async def ours(plane, rival, client_of):
    """Clients of tenant `acme` that may do all there is to do where they are bound."""
    made = {where: a_key(Role.OWNER, plane.pepper, **fields) for where, fields in OURS.items()}
    async with plane.database.session() as session:
        edit = await begin(session, "test")
        for _, document in made.values():
            await edit.put(document, action="create")
    return {where: client_of(text_) for where, (text_, _) in made.items()}


def queries(ids):
    """Every parameter that a list can be asked with, each set to what is theirs."""
    named = {
        "tenant": [MARK],
        "project": [f"{MARK}/vault"],
        "project_ids": [f"{MARK}/vault", f"acme/web,{MARK}/vault"],
        "user_ids": [ids["user"]],
        "api_key_ids": [ids["key"]],
        "models": [ids["model"]],
        "after": [MARK[:-1], str(10**9)],
        "limit": ["1", "20"],
        "actor": [f"key:{ids['key']}"],
        "target": [MARK, ids["key"], ids["event_id"], f"{MARK}/vault"],
        "kind": ["tenant", "key", "user"],
        "since": ["1", "365d"],
        "until": ["4000000000"],
        "start_time": ["1749945600"],
        "end_time": ["1750032000"],
        "page": ["page_1749945600"],
        "bucket_width": ["1d"],
        "batch": ["false"],
        "group_by": ["project_id", "user_id", "api_key_id", "model", "line_item"],
        "by": ["tenant,project,principal,model,adapter", "endpoint,route,user,session,status"],
    }
    if IS_FULL:
        named["by"] += Dimension.__args__
        named["after"] += [id_[:-1] for id_ in ids.values()]
    return [(name, value) for name, values in named.items() for value in values]


def with_what_is_needed(path, name, value):
    return (START if "/organization/" in path else {}) | {name: value}


async def test_no_list_shows_anything_of_another_tenant(the_api, ours, rival, client_of):
    theirs, ids = rival
    in_turn = cycle(ours.values())
    asked = queries(ids)
    lists = [e for e in endpoints(the_api) if e.is_list and e.needs is not None]
    known = {name for name, _ in asked} | {"from", "to"}
    said = usage_parameters().union(*(each.parameters for each in lists))
    assert said <= known, "a parameter that this test does not ask with"
    for each in lists:
        await is_seen_by_its_own(client_of(theirs), each)
        mine = [(name, value) for name, value in asked if is_asked(each, name)]
        for name, value in [("limit", "20"), *mine]:
            for client in list(ours.values()) if IS_FULL else [next(in_turn)]:
                params = with_what_is_needed(each.route.path, name, value)
                reply = await client.get(each.route.path, params=params)
                assert reply.status_code in (200, 400, 403), (each.name, params, reply.text)
                assert MARK not in without_echo(reply, value), (each.name, params, reply.text)


def is_asked(each, name):
    return name in each.parameters or ("usage" in each.route.tags and name in usage_parameters())


def without_echo(reply, value):
    """A complaint may name what was asked."""
    return reply.text.replace(value, "") if reply.status_code == 400 else reply.text


async def is_seen_by_its_own(client, each):
    """Else it would prove nothing that others do not see it."""
    path = each.route.path
    if path in SHARED | ABOUT_NOBODY or each.needs.of_organisation:
        return
    by = {"group_by": "project_id"} if "/organization/" in path else {}
    by |= {"since": "1", "by": "project"} if path == "/v1/usage/summary" else {}
    by |= {"since": "1"} if path == "/v1/usage/export.csv" else {}
    params = with_what_is_needed(path, "limit", "20") | by
    if path == "/v1/usage/export.csv":
        del params["limit"]
    reply = await client.get(path, params=params)
    assert MARK in reply.text, (each.name, reply.text)


async def test_nothing_of_another_tenant_is_there_to_read_or_change(
    the_api, ours, rival, control_database
):
    """By every route with an id: as if it were not there, and afterwards as it was."""
    _, ids = rival
    before = await everything(control_database)
    for each in endpoints(the_api):
        if each.needs is None or "{" not in each.route.path or each.route.path in SHARED:
            continue
        body = None if each.body is None else BODIES[each.body.__name__]
        for client in ours.values():
            there, nowhere = [
                await client.request(each.method, each.path(which), json=body)
                for which in (ids, NOBODYS)
            ]
            expected = 403 if each.needs.of_organisation else 404
            assert there.status_code == expected, (each.name, there.text)
            assert same(there, ids) == same(nowhere, NOBODYS), each.name
    assert await everything(control_database) == before


def same(reply, ids):
    """What it says, but for what was asked for."""
    said = reply.text
    for id_ in sorted(ids.values(), key=len, reverse=True):
        said = said.replace(id_, "")
    return reply.status_code, said


async def test_nothing_is_made_for_another_tenant(the_api, ours, rival, control_database):
    before = await everything(control_database)
    for each in endpoints(the_api):
        if each.method != "POST" or "{" in each.route.path or each.needs is None:
            continue
        for client in ours.values():
            reply = await client.post(each.route.path, json=BODIES[each.body.__name__])
            assert reply.status_code in (400, 403, 404), (each.name, reply.text)
    assert await everything(control_database) == before


async def everything(database):
    """All rows of all tables."""
    async with database.session() as session:
        return {
            table.name: sorted(map(str, (await session.execute(select(table))).all()))
            for table in metadata.sorted_tables
            if table.name != "login_sessions"
        }
