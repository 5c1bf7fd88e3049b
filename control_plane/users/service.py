"""Changes of people. Nobody touches a person who may do more than they may."""

import secrets
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.access import is_in_sight
from control_plane.authority import of_user
from control_plane.binding import bound, within_authority
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import users
from control_plane.users.schemas import NewUser, UserPatch
from control_plane.wire import LimitsBody
from serving.contract.errors import Conflict, InvalidRequest, NotFound
from serving.contract.policy import NO_LIMITS, Issuer, User
from serving.contract.principal import Principal


async def create(session: AsyncSession, caller: Principal, body: NewUser) -> Row[Any]:
    edit = await begin(session, caller.id)
    tenant, project = await bound(edit, caller, body.tenant, body.project)
    await _may_be_of(edit, caller, body.issuer, tenant)
    await _is_new(session, body)
    said = body.given("limits", "tenant", "project")
    user = User(
        id=f"u{secrets.token_hex(8)}",
        tenant=tenant,
        project=project,
        limits=body.limits.over(NO_LIMITS),
        **said,
    )
    return await _put(edit, caller, user, user, "create")


async def change(
    session: AsyncSession, caller: Principal, user_id: str, body: UserPatch
) -> Row[Any]:
    edit = await begin(session, caller.id)
    user = await _find(edit, caller, user_id)
    return await _put(edit, caller, user, replace(user, **body.given()), "change")


async def limit(
    session: AsyncSession, caller: Principal, user_id: str, body: LimitsBody
) -> Row[Any]:
    edit = await begin(session, caller.id)
    user = await _find(edit, caller, user_id)
    return await _put(edit, caller, user, replace(user, limits=body.over(user.limits)), "limit")


async def remove(session: AsyncSession, caller: Principal, user_id: str) -> None:
    edit = await begin(session, caller.id)
    user = await _find(edit, caller, user_id)
    await within_authority(edit, caller, of_user(user))
    await edit.remove(user, action="delete")


async def _may_be_of(edit: Edit, caller: Principal, issuer_id: str, tenant: str | None) -> None:
    """A tenant adds people of its own issuers: of a shared one it could take others' people."""
    issuer = await edit.find(Issuer, issuer_id)
    if issuer is None or not is_in_sight(replace(caller, project=None), issuer.tenant):
        raise NotFound(f"no issuer '{issuer_id}'")
    if issuer.tenant not in (None, tenant):
        said = f"issuer '{issuer_id}' is of tenant '{issuer.tenant}', and so are its people"
        raise InvalidRequest(said, param="tenant")


async def _is_new(session: AsyncSession, body: NewUser) -> None:
    known = select(users.c.id).where(users.c.issuer == body.issuer, users.c.subject == body.subject)
    if await session.scalar(known) is not None:
        raise Conflict(f"'{body.subject}' of '{body.issuer}' is a user already", param="subject")


async def _find(edit: Edit, caller: Principal, user_id: str) -> User:
    user = await edit.find(User, user_id)
    if user is None or not is_in_sight(caller, user.tenant, user.project):
        raise NotFound(f"no user '{user_id}'")
    return user


async def _put(edit: Edit, caller: Principal, before: User, after: User, action: str) -> Row[Any]:
    await within_authority(edit, caller, of_user(before), of_user(after))
    await edit.put(after, action=action)
    return await rows.one(edit.session, users, after.id)
