"""The response cache over the API: for all, and for a project."""

import pytest


async def test_it_is_off_until_it_is_turned_on(owner, acme):
    settings = (await owner.get("/v1/policy/settings")).json()
    names = ("cache", "cache_scope", "cache_ttl_s", "cache_max_bytes", "cache_sampled")
    assert [settings[name] for name in names] == ["off", "project", 3600, 262_144, False]
    change = {"cache": "exact", "cache_scope": "tenant", "cache_ttl_s": 60, "cache_sampled": True}
    changed = (await owner.patch("/v1/policy/settings", json=change)).json()
    assert changed.items() >= change.items()
    back = await owner.post("/v1/policy/settings/rollback", json={"version": 0})
    assert back.json()["cache"] == "off"


async def test_a_project_may_have_its_own_mind(owner, acme):
    assert (await owner.get("/v1/projects/acme/web")).json()["cache"] is None
    for mode in ("exact", "off", None):
        changed = await owner.patch("/v1/projects/acme/web", json={"cache": mode})
        assert changed.json()["cache"] == mode
    await owner.post("/v1/projects", json={"id": "acme/new", "name": "New", "cache": "exact"})
    assert (await owner.get("/v1/projects/acme/new")).json()["cache"] == "exact"


@pytest.mark.parametrize(
    "said",
    [
        {"cache": "fuzzy"},
        {"cache": None},
        {"cache_scope": "world"},
        {"cache_ttl_s": 0},
        {"cache_ttl_s": 7 * 86400 + 1},
        {"cache_max_bytes": 100},
        {"cache_max_bytes": 1 << 30},
    ],
)
async def test_what_makes_no_sense_is_refused(owner, said):
    assert (await owner.patch("/v1/policy/settings", json=said)).status_code == 400
