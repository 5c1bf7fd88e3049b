"""The first start makes what is needed to begin, once; later ones change nothing."""

import asyncio
from dataclasses import replace

import pytest

from control_plane.bootstrap import bootstrap
from control_plane.policy.initial import InitialSettings
from control_plane.settings import ControlSettings
from control_plane.store import policy_log
from control_plane.store.edit import begin, find
from serving.contract.api_keys import new_key, parse
from serving.contract.policy import LogPrivacy, Settings
from serving.settings.base import BadSettings, load


@pytest.fixture
def files(tmp_path):
    """A folder with an admin key and a default key, and the settings that name them."""
    for name in ("admin", "default"):
        (tmp_path / name).write_text(f"{new_key().text}\n")
    return ControlSettings(admin_key_file=tmp_path / "admin", default_key_file=tmp_path / "default")


async def start(plane, settings, pepper=None):
    async with plane.database.session() as session:
        return await bootstrap(session, settings, pepper or plane.pepper)


async def version(plane):
    async with plane.database.session() as session:
        return (await policy_log.version(session)).number


async def test_the_keys_in_the_files_are_good_after_the_first_start(plane, files, client_of):
    assert await start(plane, files) is None
    admin = client_of(files.admin_key_file.read_text().strip())
    assert (await admin.get("/v1/projects")).json()["data"][0]["id"] == "default/default"
    service = (await admin.get("/v1/keys?project=default/default")).json()["data"]
    assert [(key["role"], key["name"]) for key in service] == [("service", "default")]
    default = client_of(files.default_key_file.read_text().strip())
    assert (await default.get("/v1/models")).status_code == 200
    assert (await default.get("/v1/keys")).status_code == 403


async def test_a_new_database_starts_with_the_settings_of_the_environment(plane, monkeypatch):
    monkeypatch.setenv("CONTROL_INITIAL_LOG_PRIVACY", "none")
    monkeypatch.setenv("CONTROL_INITIAL_MAX_TOKENS", "500")
    initial = load(InitialSettings).document()
    async with plane.database.session() as session:
        await bootstrap(session, ControlSettings(), plane.pepper, initial)
        assert await find(session, Settings, "settings") == initial
        changed = replace(initial, log_privacy=LogPrivacy.METADATA)
        await (await begin(session, "an operator")).put(changed, action="change")
        await bootstrap(session, ControlSettings(), plane.pepper, initial)
        assert await find(session, Settings, "settings") == changed


def test_the_initial_settings_are_those_of_the_policy():
    assert load(InitialSettings).document() == Settings()


def test_initial_settings_that_contradict_themselves_are_refused(monkeypatch):
    monkeypatch.setenv("CONTROL_INITIAL_DEFAULT_MAX_TOKENS", "9")
    monkeypatch.setenv("CONTROL_INITIAL_MAX_TOKENS", "8")
    with pytest.raises(BadSettings, match="CONTROL_INITIAL_DEFAULT_MAX_TOKENS is more"):
        load(InitialSettings)


async def test_a_second_start_changes_nothing(plane, files):
    await start(plane, files)
    was = await version(plane)
    assert await start(plane, files) is None
    assert await version(plane) == was


async def test_a_key_that_was_revoked_is_not_resurrected(plane, files, client_of):
    await start(plane, files)
    admin = client_of(files.admin_key_file.read_text().strip())
    default = files.default_key_file.read_text().strip()
    await admin.post(f"/v1/keys/{parse(default).id}/revoke")
    await start(plane, files)
    assert (await client_of(default).get("/v1/models")).status_code == 401


async def test_without_a_file_and_an_owner_a_key_is_made_once(plane, client_of):
    made = await asyncio.gather(*(start(plane, ControlSettings()) for _ in range(3)))
    (key,) = [each for each in made if each is not None]
    assert (await client_of(key).get("/v1/audit")).status_code == 200
    assert await start(plane, ControlSettings()) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [("ck_live_{id}_" + "x" * 43, "is known with another secret"), ("nonsense", "is no key")],
)
async def test_a_file_that_does_not_fit_stops_the_start(plane, files, text, says):
    await start(plane, files)
    known = parse(files.admin_key_file.read_text().strip())
    files.admin_key_file.write_text(text.format(id=known.id))
    with pytest.raises(BadSettings, match=f"CONTROL_ADMIN_KEY_FILE=.*{says}"):
        await start(plane, files)


async def test_another_pepper_stops_the_start(plane, files):
    await start(plane, files)
    with pytest.raises(BadSettings, match="CONCH_KEY_PEPPER"):
        await start(plane, files, b"q" * 32)


async def test_a_file_that_is_not_there_stops_the_start(plane, tmp_path):
    with pytest.raises(BadSettings, match=r"CONTROL_ADMIN_KEY_FILE=.*cannot be read"):
        await start(plane, ControlSettings(admin_key_file=tmp_path / "none"))
