"""Who owns the organisation, so that it never loses its last owner."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.tables import keys, users
from serving.contract.permissions import Role
from serving.contract.policy import Document, Key, User


def is_owner(document: Document | None) -> bool:
    """Whether it is an active key or person that owns the whole organisation, without an end."""
    if not isinstance(document, Key | User):
        return False
    is_whole = document.tenant is None
    if isinstance(document, Key):
        is_whole &= document.scopes is None and document.expires_at is None
    return document.role is Role.OWNER and document.is_active and is_whole


async def has_owner(session: AsyncSession) -> bool:
    """Whether `is_owner` is true of any document."""
    owners = (keys, keys.c.scopes.is_(None), keys.c.expires_at.is_(None)), (users,)
    for table, *more in owners:
        mine = (table.c.role == Role.OWNER.value, table.c.is_active, table.c.tenant.is_(None))
        if await session.scalar(select(table.c.id).where(*mine, *more).limit(1)):
            return True
    return False
