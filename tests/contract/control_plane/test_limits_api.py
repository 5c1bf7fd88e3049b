"""Tenants, projects and models: what they may use and what it costs, over the API."""


async def test_a_tenant_is_made_once_renamed_limited_and_switched_off(owner):
    new = {"id": "acme", "name": "Acme", "limits": {"budget_nusd": 1}}
    made = (await owner.post("/v1/tenants", json=new)).json()
    assert (made["is_active"], made["limits"]["budget_nusd"]) == (True, 1)
    assert (await owner.post("/v1/tenants", json=new)).status_code == 409
    await owner.patch("/v1/tenants/acme", json={"name": "Acme & Co", "is_active": False})
    await owner.patch("/v1/tenants/acme/limits", json={"tokens_per_day": 1000, "burst_s": 10})
    tenant = (await owner.get("/v1/tenants/acme")).json()
    assert (tenant["name"], tenant["is_active"]) == ("Acme & Co", False)
    assert (
        tenant["limits"] | {"budget_nusd": 1, "tokens_per_day": 1000, "burst_s": 10}
        == (tenant["limits"])
    )
    reply = await owner.patch("/v1/tenants/acme", json={"name": None})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "name")


async def test_the_keys_of_a_tenant_that_is_off_open_nothing(owner, client_with, acme):
    client = await client_with(role="admin", tenant="acme")
    await owner.patch("/v1/tenants/acme", json={"is_active": False})
    assert (await client.get("/v1/tenants")).status_code == 401
    await owner.patch("/v1/tenants/acme", json={"is_active": True})
    assert (await client.get("/v1/tenants")).status_code == 200


async def test_a_tenant_has_limits_for_single_models(owner, acme):
    url = "/v1/tenants/acme/models/demo/limits"
    await owner.patch(url, json={"requests_per_minute": 5})
    limited = (await owner.patch(url, json={"budget_nusd": 7})).json()["model_limits"]["demo"]
    assert (limited["requests_per_minute"], limited["budget_nusd"]) == (5, 7)
    assert (await owner.delete(url)).json()["model_limits"] == {}


async def test_a_project_says_what_is_kept_of_its_prompts(owner, acme):
    url = "/v1/projects/acme/web"
    assert (await owner.get(url)).json()["log_privacy"] is None
    changed = (await owner.patch(url, json={"log_privacy": "full", "retention_days": 7})).json()
    assert (changed["log_privacy"], changed["retention_days"]) == ("full", 7)
    limited = (await owner.patch(f"{url}/limits", json={"concurrent_requests": 2})).json()
    assert (limited["limits"]["concurrent_requests"], limited["log_privacy"]) == (2, "full")
    back = (await owner.patch(url, json={"log_privacy": None})).json()
    assert (back["log_privacy"], back["retention_days"]) == (None, 7)
    for id_, status in (("acme/web", 409), ("none/web", 404)):
        again = await owner.post("/v1/projects", json={"id": id_, "name": "n"})
        assert again.status_code == status


async def test_a_model_has_prices_and_limits(owner, client_with, acme):
    assert (await owner.get("/v1/models/demo")).status_code == 404
    prices = {"price": {"input_nusd": 100, "output_nusd": 300}}
    await owner.patch("/v1/models/demo/prices", json=prices)
    await owner.patch("/v1/models/demo/limits", json={"tokens_per_day": 10})
    adapters = {"adapter_prices": {"polite": {"output_nusd": 500}, "terse": {"output_nusd": 1}}}
    await owner.patch("/v1/models/demo/prices", json=adapters)
    reply = await owner.patch("/v1/models/demo/prices", json={"adapter_prices": {"terse": None}})
    model = reply.json()
    assert model["price"] == {"input_nusd": 100, "cached_input_nusd": 0, "output_nusd": 300}
    assert model["adapter_prices"] == {
        "polite": {"input_nusd": 0, "cached_input_nusd": 0, "output_nusd": 500}
    }
    assert model["limits"]["tokens_per_day"] == 10
    viewer = await client_with(role="viewer", tenant="acme")
    assert (await viewer.get("/v1/models")).json()["data"] == [model]
