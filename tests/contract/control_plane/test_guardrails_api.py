"""Guardrail policies over the API: who writes, sees and chooses which, and what is refused."""

import pytest

from control_plane.guardrails.service import MOST_POLICIES
from serving.contract.guardrails import Action, Check, CheckKind, Hold, Stage
from serving.guardrails.default_policy import DEFAULT
from serving.identity.directory import Directory

URL = "/v1/guardrails"
WORDS = {"kind": "words", "action": "block", "phrases": ["Project Bluebird"]}
TOOL = {"kind": "tool_arguments", "action": "ask", "tools": ["pay"]}
STRICT = {"id": "strict", "checks": [WORDS], "hold": "none", "budget_ms": 500}


@pytest.fixture
async def strict(owner, acme):
    """`strict` of the organisation, and `acme/own` and `other/own` of tenants."""
    for id_ in ("strict", "acme/own", "other/own"):
        reply = await owner.post(URL, json=STRICT | {"id": id_})
        assert reply.status_code == 201, reply.text


async def ids(client):
    return [each["id"] for each in (await client.get(URL)).json()["data"]]


async def directory(plane):
    async with plane.database.session() as session:
        found: Directory = await plane.policy.fresh(session)
        return found


async def test_a_policy_is_made_replaced_and_removed(owner, plane, acme):
    made = (await owner.post(URL, json=STRICT)).json()
    assert (made["object"], made["tenant"], made["hold"]) == ("guardrails", None, "none")
    assert (await owner.post(URL, json=STRICT)).status_code == 409
    changed = (await owner.put(f"{URL}/strict", json={"checks": [WORDS, TOOL]})).json()
    assert [each["kind"] for each in changed["checks"]] == ["words", "tool_arguments"]
    assert (changed["hold"], changed["budget_ms"]) == ("sentence", 2000)
    assert (await owner.get(f"{URL}/strict")).json() == changed
    assert (await owner.delete(f"{URL}/strict")).status_code == 204
    assert (await owner.get(f"{URL}/strict")).status_code == 404
    assert (await directory(plane)).guardrails("strict") is None


async def test_every_field_gets_to_the_gateway(owner, plane, acme):
    rules = [
        {"argument": "path", "inside": "/srv"},
        {"argument": "url", "hosts": ["*.example.com"]},
        {"argument": "q", "is_read_only_sql": True},
        {"argument": "amount", "minimum": 0, "maximum": 99.5},
    ]
    checks = [
        {"kind": "injection", "action": "flag", "stages": ["input", "retrieved"], "threshold": 1},
        {"kind": "personal", "action": "redact", "kinds": ["email"], "name": "mail addresses"},
        {"kind": "words", "action": "block", "patterns": [r"(?i)\bbird\d+"]},
        {"kind": "size", "action": "block", "max_characters": 10000},
        {"kind": "tool", "action": "block", "only_tainted": True},
        {"kind": "tool_calls", "action": "block", "max_calls": 9, "calls_per_minute": 3},
        {**TOOL, "arguments": rules},
    ]
    switches = {"is_spotlit": False, "is_reversible": True, "is_explained": False}
    body = {"checks": checks, "on_failure": "closed", "hold": "none", "budget_ms": 9, **switches}
    assert (await owner.put(f"{URL}/acme/own", json=body)).status_code == 200
    found = (await directory(plane)).guardrails("acme/own")
    assert (found.tenant, found.hold, found.is_reversible) == ("acme", Hold.NONE, True)
    first, *_, last = found.checks
    stages = (Stage.INPUT, Stage.RETRIEVED)
    assert first == Check(CheckKind.INJECTION, Action.FLAG, stages, threshold=1.0)
    assert [rule.argument for rule in last.arguments] == ["path", "url", "q", "amount"]
    shown = (await owner.get(f"{URL}/acme/own")).json()
    again = {name: said for name, said in shown.items() if name in body}
    assert (await owner.put(f"{URL}/acme/own", json=again)).json() == shown
    assert (await directory(plane)).guardrails("acme/own") == found


@pytest.mark.parametrize(
    ("check", "param", "word"),
    [
        ({"action": "block"}, "checks[0].kind", ""),
        ({"kind": "magic", "action": "block"}, "checks[0].kind", ""),
        ({**WORDS, "action": "explode"}, "checks[0].action", ""),
        ({**WORDS, "stages": ["attic"]}, "checks[0].stages[0]", ""),
        ({**WORDS, "colour": "red"}, "checks[0].colour", ""),
        ({**WORDS, "threshold": 0.5}, "checks[0]", "'threshold' does not belong"),
        ({"kind": "secrets", "action": "flag", "phrases": ["a"]}, "checks[0]", "'phrases' does"),
        ({"kind": "secrets", "action": "flag", "kinds": ["shoe_size"]}, "checks[0]", "shoe_size"),
        ({"kind": "words", "action": "block"}, "checks[0]", "'phrases' or 'patterns'"),
        ({"kind": "topics", "action": "block"}, "checks[0]", "'phrases'"),
        ({"kind": "size", "action": "block"}, "checks[0]", "'max_characters'"),
        ({"kind": "classifier", "action": "block", "threshold": 1.5}, "checks[0].threshold", ""),
        ({"kind": "classifier", "action": "block", "threshold": "1"}, "checks[0].threshold", ""),
        ({**WORDS, "patterns": ["(?=x)"]}, "checks[0].patterns[0]", "look-around"),
        ({**WORDS, "patterns": [r"\pL{1000}"]}, "checks[0].patterns[0]", "too large"),
        ({**WORDS, "phrases": ["x" * 257]}, "checks[0].phrases[0]", ""),
        ({**WORDS, "phrases": ["a\0b"]}, "checks[0].phrases[0]", ""),
        ({**WORDS, "phrases": ["\u200b"]}, "phrases", "no word"),
        ({**WORDS, "phrases": [f"p{n}" for n in range(257)]}, "checks[0].phrases", ""),
        ({**TOOL, "stages": ["input"]}, "checks[0]", "'input', where"),
        ({**TOOL, "arguments": [{"argument": "a"}]}, "checks[0].arguments[0]", "asks for nothing"),
        (
            {**TOOL, "arguments": [{"argument": "a", "minimum": 2, "maximum": 1}]},
            "checks[0].arguments[0]",
            "'minimum'",
        ),
        ({**TOOL, "arguments": [{"argument": "a", "hosts": ["é"]}]}, None, "ASCII"),
    ],
)
async def test_a_check_that_makes_no_sense_is_told(owner, check, param, word):
    reply = await owner.put(f"{URL}/strict", json={"checks": [check]})
    error = reply.json()["error"]
    assert reply.status_code == 400, error
    assert error["param"] == param or param is None
    assert word in error["message"]


async def test_a_policy_has_only_so_many_checks_and_patterns(owner):
    patterns = [f"p{n}" for n in range(65)]
    for checks in ([WORDS] * 65, [{**WORDS, "patterns": patterns}] * 2):
        reply = await owner.put(f"{URL}/strict", json={"checks": checks})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "checks"), reply.text


async def test_the_built_in_ones_are_there_and_stay_as_they_are(owner, acme, client_with):
    admin = await client_with(role="admin", tenant="acme")
    shown = (await admin.get(f"{URL}/default")).json()
    assert [each["kind"] for each in shown["checks"]] == [c.kind for c in DEFAULT.checks]
    for id_ in ("default", "off", "acme/off"):
        reply = await owner.put(f"{URL}/{id_}", json={})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "id")
    assert (await owner.delete(f"{URL}/default")).status_code == 400


async def test_a_tenant_sees_and_writes_its_own_only(strict, client_with):
    admin = await client_with(role="admin", tenant="acme")
    of_project = await client_with(role="admin", project="acme/web")
    for client in (admin, of_project):
        assert await ids(client) == ["acme/own", "strict"]
        assert (await client.get(f"{URL}/other/own")).status_code == 404
    assert (await admin.put(f"{URL}/acme/own", json={})).status_code == 200
    assert (await admin.post(URL, json={"id": "acme/new"})).status_code == 201
    for method, id_, status in (
        ("PUT", "strict", 403),
        ("DELETE", "strict", 403),
        ("PUT", "other/own", 404),
        ("DELETE", "other/own", 404),
    ):
        body = {} if method == "PUT" else None
        reply = await admin.request(method, f"{URL}/{id_}", json=body)
        assert reply.status_code == status, (method, id_)
    assert (await of_project.put(f"{URL}/acme/own", json={})).status_code == 403
    assert (await admin.delete(f"{URL}/acme/new")).status_code == 204


async def test_who_may_not_choose_for_a_tenant_does_not_write_what_it_chose(strict, client_with):
    operators = [await client_with(role="operator", **of) for of in ({}, {"tenant": "acme"})]
    for operator in operators:
        assert (await operator.put(f"{URL}/acme/own", json={})).status_code == 403
    assert (await operators[0].put(f"{URL}/strict", json={})).status_code == 200


async def test_the_nearest_choice_counts(strict, owner, plane):
    async def counts():
        return (await directory(plane)).guardrails_of("acme/web").id

    assert await counts() == "default"
    for path, name in (
        ("policy/settings", "off"),
        ("tenants/acme", "strict"),
        ("projects/acme/web", "acme/own"),
    ):
        reply = await owner.patch(f"/v1/{path}", json={"guardrails": name})
        assert (reply.status_code, reply.json()["guardrails"]) == (200, name), reply.text
        assert await counts() == name
    await owner.patch("/v1/projects/acme/web", json={"guardrails": None})
    assert await counts() == "strict"
    renamed = await owner.patch("/v1/tenants/acme", json={"name": "Acme"})
    assert renamed.json()["guardrails"] == "strict"


async def test_what_is_not_there_or_of_others_cannot_be_chosen(strict, owner, client_with):
    admin = await client_with(role="admin", tenant="acme")
    for client, method, path, body in (
        (admin, "PATCH", "tenants/acme", {"guardrails": "other/own"}),
        (admin, "PATCH", "projects/acme/web", {"guardrails": "other/own"}),
        (owner, "PATCH", "projects/acme/web", {"guardrails": "other/own"}),
        (owner, "PATCH", "projects/acme/web", {"guardrails": "none"}),
        (owner, "PATCH", "policy/settings", {"guardrails": "acme/own"}),
        (owner, "PATCH", "policy/settings", {"guardrails": None}),
        (owner, "POST", "tenants", {"id": "new", "name": "n", "guardrails": "none"}),
        (admin, "POST", "projects", {"id": "acme/new", "name": "n", "guardrails": "none"}),
    ):
        reply = await client.request(method, f"/v1/{path}", json=body)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "guardrails"), path


async def test_a_tenants_admin_chooses_and_a_projects_does_not(strict, client_with):
    admin = await client_with(role="admin", tenant="acme")
    assert (await admin.patch("/v1/tenants/acme", json={"guardrails": "off"})).status_code == 200
    project = {"id": "acme/new", "name": "n", "guardrails": "acme/own"}
    assert (await admin.post("/v1/projects", json=project)).json()["guardrails"] == "acme/own"
    of_project = await client_with(role="owner", project="acme/web")
    own = "/v1/projects/acme/web"
    assert (await of_project.patch(own, json={"guardrails": "off"})).status_code == 403
    assert (await of_project.patch(own, json={"guardrails": None})).status_code == 403
    assert (await of_project.patch(own, json={"name": "mine"})).status_code == 200
    developer = await client_with(role="operator", tenant="acme")
    assert (
        await developer.patch("/v1/tenants/acme", json={"guardrails": "off"})
    ).status_code == 403


async def test_what_is_in_use_stays(strict, owner):
    for path in ("policy/settings", "tenants/acme", "projects/acme/web"):
        await owner.patch(f"/v1/{path}", json={"guardrails": "strict"})
    refused = await owner.delete(f"{URL}/strict")
    assert refused.status_code == 409
    assert "the settings, tenant acme, project acme/web" in refused.json()["error"]["message"]
    await owner.patch("/v1/policy/settings", json={"guardrails": "default"})
    await owner.patch("/v1/tenants/acme", json={"guardrails": "off"})
    await owner.patch("/v1/projects/acme/web", json={"guardrails": None})
    assert (await owner.delete(f"{URL}/strict")).status_code == 204


async def test_settings_do_not_roll_back_to_a_policy_that_is_gone(strict, owner):
    settings = "/v1/policy/settings"
    was = (await owner.patch(settings, json={"guardrails": "strict"})).json()["version"]
    await owner.patch(settings, json={"guardrails": "off"})
    back = {"version": was}
    assert (await owner.post(f"{settings}/rollback", json=back)).json()["guardrails"] == "strict"
    await owner.patch(settings, json={"guardrails": "off"})
    await owner.delete(f"{URL}/strict")
    refused = await owner.post(f"{settings}/rollback", json=back)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "guardrails")


async def test_changes_are_versions_and_audited(owner, acme):
    before = (await owner.get("/v1/policy")).json()["version"]
    await owner.put(f"{URL}/acme/own", json={"checks": [WORDS]})
    await owner.put(f"{URL}/acme/own", json={"checks": [WORDS]})
    after = (await owner.get("/v1/policy")).json()["version"]
    assert after == before + 1
    params = {"from": before, "to": after}
    (change,) = (await owner.get("/v1/policy/diff", params=params)).json()["changes"]
    assert (change["kind"], change["after"]["checks"]) == ("guardrails", [WORDS])
    entry = (await owner.get("/v1/audit", params={"kind": "guardrails"})).json()["data"][0]
    assert (entry["action"], entry["target"], entry["tenant"]) == ("replace", "acme/own", "acme")


async def test_a_tenant_has_only_so_many_policies(owner, acme, client_with):
    admin = await client_with(role="admin", tenant="acme")
    for number in range(MOST_POLICIES):
        reply = await admin.put(f"{URL}/acme/p{number}", json={})
        assert reply.status_code == 200
    refused = await admin.put(f"{URL}/acme/more", json={})
    assert (refused.status_code, "remove one" in refused.text) == (409, True)
    assert (await admin.put(f"{URL}/acme/p0", json={"checks": [WORDS]})).status_code == 200
    assert (await owner.put(f"{URL}/more", json={})).status_code == 200
