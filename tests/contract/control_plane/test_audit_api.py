"""The audit log over the API: who did what to what, when."""

import time


async def entries(client, **filters):
    reply = await client.get("/v1/audit", params=filters)
    assert reply.status_code == 200, reply.text
    return [(entry["action"], entry["target"]) for entry in reply.json()["data"]]


async def test_every_write_is_there_with_before_and_after(owner, owner_key, acme):
    await owner.patch("/v1/tenants/acme", json={"name": "New"})
    (entry,) = (await owner.get("/v1/audit?limit=1")).json()["data"]
    assert (entry["action"], entry["kind"], entry["target"]) == ("change", "tenant", "acme")
    assert (entry["before"]["name"], entry["after"]["name"]) == ("acme", "New")
    assert entry["actor"] == f"key:{owner_key.split('_')[2]}"
    assert time.time() - 60 < entry["at"] <= time.time() + 1


async def test_it_is_found_by_actor_kind_target_and_time(owner, acme):
    bootstrapped = await entries(owner, actor="bootstrap")
    assert ("create", "default/default") in bootstrapped
    assert await entries(owner, kind="project", target="acme/web") == [("create", "acme/web")]
    assert await entries(owner, until=time.time() - 3600) == []
    assert len(await entries(owner, since=time.time() - 3600, limit=100)) == 7


async def test_a_tenant_reads_its_own(owner, client_with, acme):
    admin = await client_with(role="admin", tenant="acme")
    seen = {target for _, target in await entries(admin, limit=100)}
    assert {"acme", "acme/web"} <= seen
    assert not seen & {"other", "other/web", "default", "default/default"}


async def test_what_was_refused_is_not_there_as_done(owner, client_with, acme):
    viewer = await client_with(role="viewer", tenant="acme")
    count = len(await entries(owner, limit=100))
    assert (await viewer.post("/v1/keys", json={"name": "k"})).status_code == 403
    assert (await owner.post("/v1/tenants", json={"id": "acme", "name": "n"})).status_code == 409
    assert len(await entries(owner, limit=100)) == count
