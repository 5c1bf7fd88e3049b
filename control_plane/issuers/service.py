"""Changes of issuers. What they say of people is believed, so only the organisation makes them,
and nobody who may do less than those people may.
"""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.authority import of_issuer
from control_plane.binding import within_authority
from control_plane.issuers.schemas import IssuerPatch, NewIssuer
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import issuers, users
from control_plane.tenants.service import find as find_tenant
from serving.contract.errors import Conflict, NotFound
from serving.contract.policy import Issuer
from serving.contract.principal import Principal


async def create(session: AsyncSession, caller: Principal, body: NewIssuer) -> Row[Any]:
    edit = await begin(session, caller.id)
    if await edit.find(Issuer, body.id) is not None:
        raise Conflict(f"there is an issuer '{body.id}' already", param="id")
    if body.tenant is not None:
        await find_tenant(edit, caller, body.tenant)
    return await _put(edit, caller, Issuer(**body.given()), "create")


async def change(
    session: AsyncSession, caller: Principal, issuer_id: str, body: IssuerPatch
) -> Row[Any]:
    edit = await begin(session, caller.id)
    issuer = await _find(edit, issuer_id)
    return await _put(edit, caller, replace(issuer, **body.given()), "change")


async def remove(session: AsyncSession, caller: Principal, issuer_id: str) -> None:
    edit = await begin(session, caller.id)
    issuer = await _find(edit, issuer_id)
    of_it = select(users.c.id).where(users.c.issuer == issuer.id).limit(1)
    if await session.scalar(of_it) is not None:
        raise Conflict(f"issuer '{issuer_id}' has users; remove them first")
    await edit.remove(issuer, action="delete")


async def _find(edit: Edit, issuer_id: str) -> Issuer:
    issuer = await edit.find(Issuer, issuer_id)
    if issuer is None:
        raise NotFound(f"no issuer '{issuer_id}'")
    return issuer


async def _put(edit: Edit, caller: Principal, issuer: Issuer, action: str) -> Row[Any]:
    await within_authority(edit, caller, of_issuer(issuer))
    await edit.put(issuer, action=action)
    return await rows.one(edit.session, issuers, issuer.id)
