"""Versions, differences and the runtime settings over the API."""


async def current(owner):
    return (await owner.get("/v1/policy")).json()["version"]


async def test_every_change_is_a_version_with_who_and_what(owner, owner_key, acme):
    before = await current(owner)
    await owner.patch("/v1/tenants/acme", json={"name": "New"})
    assert await current(owner) == before + 1
    newest, second = (await owner.get("/v1/policy/versions?limit=2")).json()["data"]
    assert (newest["version"], newest["summary"]) == (before + 1, "change tenant acme")
    assert newest["actor"] == f"key:{owner_key.split('_')[2]}"
    assert second["version"] == before
    page = await owner.get("/v1/policy/versions", params={"after": before + 1, "limit": 1})
    assert [version["version"] for version in page.json()["data"]] == [before]


async def test_a_diff_says_what_is_different_and_no_secret(owner, acme):
    first = await current(owner)
    for name in ("A", "B"):
        await owner.patch("/v1/tenants/acme", json={"name": name})
    await owner.patch("/v1/tenants/other", json={"name": "passing"})
    await owner.patch("/v1/tenants/other", json={"name": "other"})
    made = (await owner.post("/v1/keys", json={"name": "k", "project": "acme/web"})).json()
    last = await current(owner)
    diff = (await owner.get("/v1/policy/diff", params={"from": first, "to": last})).json()
    key, tenant = diff["changes"]
    assert (tenant["before"]["name"], tenant["after"]["name"]) == ("acme", "B")
    assert (key["id"], key["before"]) == (made["id"], None)
    assert key["after"]["secrets"] == [{"expires_at": None}]
    for bounds in ({"from": 5, "to": 4}, {"from": 0, "to": 10**9}):
        assert (await owner.get("/v1/policy/diff", params=bounds)).status_code == 400
    beyond = {"from": last, "to": last + 1}
    assert (await owner.get("/v1/policy/diff", params=beyond)).status_code == 404


async def test_settings_are_changed_and_rolled_back_as_new_versions(owner):
    was = (await owner.get("/v1/policy/settings")).json()
    assert (was["version"], was["retention_days"]) == (0, 30)
    change = {"retention_days": 7, "temperature": 0.5, "warn_at_percent": [100, 50, 50]}
    changed = (await owner.patch("/v1/policy/settings", json=change)).json()
    assert (changed["retention_days"], changed["warn_at_percent"]) == (7, [50, 100])
    await owner.patch("/v1/policy/settings", json={"retention_days": 1, "temperature": None})
    to = {"version": changed["version"]}
    back = (await owner.post("/v1/policy/settings/rollback", json=to)).json()
    assert back == changed | {"version": await current(owner)}
    first = (await owner.post("/v1/policy/settings/rollback", json={"version": 0})).json()
    assert first == was | {"version": await current(owner)}
    future = {"version": 10**6}
    assert (await owner.post("/v1/policy/settings/rollback", json=future)).status_code == 404


async def test_a_rollback_touches_settings_only(owner, acme):
    at = await current(owner)
    await owner.patch("/v1/policy/settings", json={"retention_days": 7})
    await owner.patch("/v1/tenants/acme", json={"name": "New"})
    await owner.post("/v1/policy/settings/rollback", json={"version": at})
    assert (await owner.get("/v1/tenants/acme")).json()["name"] == "New"
    assert (await owner.get("/v1/policy/settings")).json()["retention_days"] == 30


async def test_two_who_change_settings_at_once_do_not_overwrite_each_other(owner):
    etag = (await owner.get("/v1/policy/settings")).headers["etag"]
    headers = {"if-match": etag}
    first = await owner.patch("/v1/policy/settings", json={"retention_days": 7}, headers=headers)
    assert first.status_code == 200
    second = await owner.patch("/v1/policy/settings", json={"retention_days": 9}, headers=headers)
    assert (second.status_code, second.json()["error"]["code"]) == (409, "conflict")
    headers = {"if-match": first.headers["etag"]}
    third = await owner.patch("/v1/policy/settings", json={"retention_days": 9}, headers=headers)
    assert third.status_code == 200


async def test_a_setting_that_makes_no_sense_is_told(owner):
    for wrong, param in (
        ({"temperature": 3}, "temperature"),
        ({"log_privacy": "all"}, "log_privacy"),
        ({"log_privacy": None}, "log_privacy"),
        ({"max_tokens": 10, "default_max_tokens": 11}, "default_max_tokens"),
        ({"retention": 1}, "retention"),
    ):
        reply = await owner.patch("/v1/policy/settings", json=wrong)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
