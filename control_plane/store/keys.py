"""What is kept of API keys beside their documents: when each was last used."""

from collections.abc import Mapping

from sqlalchemy import bindparam, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.tables import UnixTime, keys


async def touch_keys(session: AsyncSession, last_used_at: Mapping[str, float]) -> None:
    """Notes the last use of keys, by id; never an earlier one than is known already."""
    if not last_used_at:
        return
    used = bindparam("used_at", type_=UnixTime)
    newest = func.greatest(func.coalesce(keys.c.last_used_at, used), used)
    statement = update(keys).where(keys.c.id == bindparam("key_id")).values(last_used_at=newest)
    # In one order, so that two workers never wait for one another.
    rows = [{"key_id": id_, "used_at": at} for id_, at in sorted(last_used_at.items())]
    await (await session.connection()).execute(statement, rows)
