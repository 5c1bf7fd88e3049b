"""Changes of API keys. Nobody touches a key that may do more than they may."""

import time
from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.access import is_in_sight
from control_plane.authority import of_key
from control_plane.binding import bound, within_authority
from control_plane.keys.schemas import KeyPatch, NewKey
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import keys
from control_plane.wire import LimitsBody
from serving.contract.api_keys import ApiKey, digest, new_key
from serving.contract.errors import Conflict, InvalidRequest, NotFound
from serving.contract.permissions import Role
from serving.contract.policy import NO_LIMITS, Key, Secret
from serving.contract.principal import Principal


async def create(
    session: AsyncSession, caller: Principal, pepper: bytes, body: NewKey
) -> tuple[Row[Any], ApiKey]:
    """The key's row, and the key itself."""
    _in_the_future(body.expires_at)
    edit = await begin(session, caller.id)
    tenant, project = await bound(edit, caller, body.tenant, body.project)
    if body.role is Role.SERVICE and project is None:
        raise InvalidRequest("a service key is of a project: say which", param="project")
    made = new_key()
    secrets = (Secret(digest(made, pepper)),)
    said = body.given("limits", "tenant", "project") | {"role": body.role}
    limits = body.limits.over(NO_LIMITS)
    key = Key(id=made.id, secrets=secrets, tenant=tenant, project=project, limits=limits, **said)
    await within_authority(edit, caller, of_key(key))
    return await _put(edit, key, "create"), made


async def change(session: AsyncSession, caller: Principal, key_id: str, body: KeyPatch) -> Row[Any]:
    _in_the_future(body.expires_at)
    edit = await begin(session, caller.id)
    key = await _find(edit, caller, key_id)
    return await _replace(edit, caller, key, replace(key, **body.given()), "change")


async def limit(
    session: AsyncSession, caller: Principal, key_id: str, body: LimitsBody
) -> Row[Any]:
    edit = await begin(session, caller.id)
    key = await _find(edit, caller, key_id)
    limits = body.over(key.limits)
    return await _replace(edit, caller, key, replace(key, limits=limits), "limit")


async def revoke(session: AsyncSession, caller: Principal, key_id: str) -> Row[Any]:
    """For good: there is no way back."""
    edit = await begin(session, caller.id)
    key = await _find(edit, caller, key_id)
    return await _replace(edit, caller, key, replace(key, is_active=False), "revoke")


async def rotate(
    session: AsyncSession, caller: Principal, pepper: bytes, key_id: str, overlap_s: int
) -> tuple[Row[Any], ApiKey]:
    """A new secret under the same id; the one it replaces stays good for `overlap_s`."""
    edit = await begin(session, caller.id)
    key = await _find(edit, caller, key_id)
    if not key.is_active:
        raise Conflict(f"key '{key_id}' is revoked; make a new one")
    made = new_key(key_id)
    secrets = (Secret(digest(made, pepper)), *_replaced(key, overlap_s))
    return await _replace(edit, caller, key, replace(key, secrets=secrets), "rotate"), made


def _replaced(key: Key, overlap_s: int) -> tuple[Secret, ...]:
    """The newest secret, for as long as it is still good; older ones go."""
    return (replace(key.secrets[0], expires_at=time.time() + overlap_s),) if overlap_s else ()


def _in_the_future(expires_at: float | None) -> None:
    if expires_at is not None and expires_at <= time.time():
        raise InvalidRequest("'expires_at' has passed already", param="expires_at")


async def _find(edit: Edit, caller: Principal, key_id: str) -> Key:
    key = await edit.find(Key, key_id)
    if key is None or not is_in_sight(caller, key.tenant, key.project):
        raise NotFound(f"no key '{key_id}'")
    return key


async def _replace(edit: Edit, caller: Principal, before: Key, after: Key, action: str) -> Row[Any]:
    await within_authority(edit, caller, of_key(before), of_key(after))
    return await _put(edit, after, action)


async def _put(edit: Edit, key: Key, action: str) -> Row[Any]:
    await edit.put(key, action=action)
    return await rows.one(edit.session, keys, key.id)
