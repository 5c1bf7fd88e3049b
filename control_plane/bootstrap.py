"""What the first start makes: the default tenant and project, and the keys to begin with."""

from dataclasses import replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.settings import ControlSettings
from control_plane.store.edit import Edit, begin
from control_plane.store.owners import has_owner
from control_plane.store.tables import tenants
from serving.contract.api_keys import ApiKey, digest, new_key, parse
from serving.contract.permissions import Role
from serving.contract.policy import Key, Project, Secret, Settings, Tenant
from serving.settings.secret_files import BadSettings, first_line

ACTOR = "bootstrap"
DEFAULTS = Settings()
TENANT = Tenant("default", "Default")
PROJECT = Project("default/default", "default", "Default")
OWNER = Key("", "admin", Role.OWNER, ())
SERVICE = Key("", "default", Role.SERVICE, (), tenant=TENANT.id, project=PROJECT.id)
ADMIN_FILE = "CONTROL_ADMIN_KEY_FILE"
DEFAULT_FILE = "CONTROL_DEFAULT_KEY_FILE"


async def bootstrap(
    session: AsyncSession,
    settings: ControlSettings,
    pepper: bytes,
    initial: Settings = DEFAULTS,
) -> str | None:
    """The owner's key in the clear, if one had to be made: nobody will ever see it again.

    `initial` are the runtime settings of a database that has no tenant yet.

    Makes what was never there and changes nothing that is. Raises BadSettings for a key file that
    does not fit to what the database knows.
    """
    edit = await begin(session, ACTOR)
    if await session.scalar(select(tenants.c.id).limit(1)) is None:
        await edit.put(TENANT, action="create")
        await edit.put(PROJECT, action="create")
        if initial != DEFAULTS:
            await edit.put(initial, action="create")
    if settings.admin_key_file is not None:
        await _ensure(edit, ADMIN_FILE, settings.admin_key_file, OWNER, pepper)
    if settings.default_key_file is not None:
        await _ensure(edit, DEFAULT_FILE, settings.default_key_file, SERVICE, pepper)
    if await has_owner(session):
        return None
    made = new_key()
    await edit.put(_with(OWNER, made, pepper), action="create")
    return made.text


async def _ensure(edit: Edit, variable: str, path: Path, like: Key, pepper: bytes) -> None:
    """Makes the key in the file, once: one that was revoked since stays revoked."""
    given = _read(path, variable)
    known = await edit.find(Key, given.id)
    if known is None:
        await _needs_home(edit, variable, path, like)
        await edit.put(_with(like, given, pepper), action="create")
    elif digest(given, pepper) not in {secret.digest for secret in known.secrets}:
        raise BadSettings(
            f"{variable}={path}: key '{given.id}' is known with another secret; put its newest "
            "secret there, or is CONCH_KEY_PEPPER another one than when the key was made?"
        )


async def _needs_home(edit: Edit, variable: str, path: Path, like: Key) -> None:
    if like.project is not None and await edit.find(Project, like.project) is None:
        raise BadSettings(f"{variable}={path}: there is no project '{like.project}' for the key")


def _with(like: Key, key: ApiKey, pepper: bytes) -> Key:
    return replace(like, id=key.id, secrets=(Secret(digest(key, pepper)),))


def _read(path: Path, variable: str) -> ApiKey:
    key = parse(first_line(path, f"{variable}={path}"))
    if key is None:
        raise BadSettings(f"{variable}={path}: its first line is no key: ck_live_<id>_<secret>")
    return key
