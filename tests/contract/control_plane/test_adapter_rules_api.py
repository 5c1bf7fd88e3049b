"""Rules that choose adapters are settings: ordered, versioned, rolled back, seen by whom they are
about; and what a key may not use is not shown to it.
"""

import pytest

from control_plane.policy.rules import MOST_PHRASES, MOST_RULES
from serving.contract.policy import AdapterRule, Settings
from serving.identity.documents import decode, encode

RULE = {"model": "demo", "adapter": "pirate"}
SETTINGS = "/v1/policy/settings"


async def put(owner, *rules):
    reply = await owner.patch(SETTINGS, json={"adapter_rules": rules})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def rules_of(client):
    return (await client.get(SETTINGS)).json()["adapter_rules"]


def full(**said):
    return {**RULE, "tenant": None, "project": None, "contains": [], **said}


async def test_rules_keep_their_order_and_what_was_said(owner):
    assert await rules_of(owner) == []
    terse = {**RULE, "adapter": "terse", "contains": [" In short ", "Kürzer"]}
    first = await put(owner, terse, RULE, RULE)
    assert first["adapter_rules"] == [
        full(adapter="terse", contains=["In short", "Kürzer"]),
        full(),
    ]
    second = await put(owner, RULE, terse)
    assert [rule["adapter"] for rule in second["adapter_rules"]] == ["pirate", "terse"]
    assert second["version"] > first["version"]


async def test_a_rule_for_a_project_is_one_for_its_tenant(owner):
    made = await put(owner, {**RULE, "project": "acme/web"})
    assert made["adapter_rules"] == [full(tenant="acme", project="acme/web")]


async def test_rules_are_rolled_back_and_told_in_a_diff(owner):
    was = await put(owner, RULE)
    now = await put(owner)
    params = {"from": was["version"], "to": now["version"]}
    (change,) = (await owner.get("/v1/policy/diff", params=params)).json()["changes"]
    assert change["before"]["adapter_rules"] == [RULE]
    assert "adapter_rules" not in (change["after"] or {})
    back = await owner.post(f"{SETTINGS}/rollback", json={"version": was["version"]})
    assert back.json()["adapter_rules"] == was["adapter_rules"]


@pytest.mark.parametrize(
    ("rule", "param"),
    [
        ({"model": "demo"}, "adapter_rules[0].adapter"),
        ({**RULE, "model": "demo:pirate"}, "adapter_rules[0].model"),
        ({**RULE, "adapter": ""}, "adapter_rules[0].adapter"),
        ({**RULE, "tenant": "Acme"}, "adapter_rules[0].tenant"),
        ({**RULE, "tenant": "other", "project": "acme/web"}, "adapter_rules[0]"),
        ({**RULE, "contains": [" "]}, "adapter_rules[0].contains[0]"),
        ({**RULE, "contains": ["x" * 129]}, "adapter_rules[0].contains[0]"),
        ({**RULE, "contains": ["x"] * (MOST_PHRASES + 1)}, "adapter_rules[0].contains"),
        ({**RULE, "route": "fast"}, "adapter_rules[0].route"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_told(owner, rule, param):
    reply = await owner.patch(SETTINGS, json={"adapter_rules": [rule]})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_there_are_so_many_rules_and_no_more(owner):
    many = [{**RULE, "adapter": f"a{number}"} for number in range(MOST_RULES + 1)]
    await put(owner, *many[:-1])
    assert (await owner.patch(SETTINGS, json={"adapter_rules": many})).status_code == 400


async def test_a_tenant_sees_no_rule_of_another(owner, acme, client_with):
    everybody = {**RULE, "adapter": "a"}
    here, there = ({**RULE, "tenant": tenant} for tenant in ("acme", "other"))
    web, app = ({**RULE, "project": f"acme/{name}"} for name in ("web", "app"))
    await put(owner, everybody, here, there, web, app)
    assert len(await rules_of(owner)) == 5
    of_tenant = await client_with(role="operator", tenant="acme")
    of_project = await client_with(role="operator", project="acme/web")
    seen = [full(adapter="a"), full(tenant="acme"), full(tenant="acme", project="acme/web")]
    assert await rules_of(of_tenant) == [*seen, full(tenant="acme", project="acme/app")]
    assert await rules_of(of_project) == seen


async def test_only_the_organisation_makes_rules(acme, client_with):
    admin = await client_with(role="admin", tenant="acme")
    reply = await admin.patch(SETTINGS, json={"adapter_rules": [RULE]})
    assert reply.status_code == 403


def test_rules_survive_the_way_to_the_gateway():
    rules = (
        AdapterRule("demo", "pirate"),
        AdapterRule("demo", "terse", "acme", "acme/web", ("in short",)),
    )
    settings = Settings(adapter_rules=rules)
    assert decode("settings", encode(settings)) == settings


PRICE = {"input_nusd": 1, "cached_input_nusd": 0, "output_nusd": 2}


@pytest.fixture
async def priced(owner, acme):
    """Models `demo`, with two adapters of a price of their own, and `other`."""
    prices = {"price": PRICE, "adapter_prices": {"pirate": PRICE, "terse": PRICE}}
    for name, body in (("demo", prices), ("other", {"price": PRICE})):
        reply = await owner.patch(f"/v1/models/{name}/prices", json=body)
        assert reply.status_code == 200, reply.text


async def shown(client):
    models = (await client.get("/v1/models")).json()["data"]
    return {model["id"]: sorted(model["adapter_prices"]) for model in models}


@pytest.mark.usefixtures("priced")
async def test_a_key_sees_the_models_and_adapters_that_it_may_use(owner, client_with):
    assert await shown(owner) == {"demo": ["pirate", "terse"], "other": []}
    bound = await client_with(role="viewer", tenant="acme", models=["demo"], adapters=["terse"])
    assert await shown(bound) == {"demo": ["terse"]}
    assert sorted((await bound.get("/v1/models/demo")).json()["adapter_prices"]) == ["terse"]
    hidden, missing = [await bound.get(f"/v1/models/{name}") for name in ("other", "nope")]
    assert hidden.status_code == missing.status_code == 404
    assert (
        hidden.json()["error"]["message"].replace("other", "nope")
        == (missing.json()["error"]["message"])
    )
