"""Deletes what was kept for long enough, some rows at a time, so that nobody waits for it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Table, delete, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import usage_tables
from control_plane.store.database import Database
from control_plane.store.usage_tables import usage_dead_letters, usage_events, usage_rollups

AT_ONCE = 5000
_CONTENTS = usage_tables.contents


async def projects(session: AsyncSession) -> Sequence[tuple[str, str]]:
    """Tenant and id of every project that has ever used anything."""
    columns = usage_rollups.c
    found = await session.execute(
        select(columns.tenant, columns.project).where(columns.granularity == "day").distinct()
    )
    return [(tenant, project) for tenant, project in found]


async def events(database: Database, tenant: str, project: str, before: float) -> int:
    """Events of a project that began before `before`; how many there were."""
    columns = usage_events.c
    is_own = (columns.tenant == tenant) & (columns.project == project)
    is_old = is_own & (columns.began_at < before)
    return await _remove(database, usage_events, is_old)


async def contents(database: Database, project: str, before: float) -> int:
    columns = _CONTENTS.c
    is_old = (columns.project == project) & (columns.began_at < before)
    return await _remove(database, _CONTENTS, is_old)


async def expired_contents(database: Database, now: float) -> int:
    return await _remove(database, _CONTENTS, _CONTENTS.c.expires_at < now)


async def rollups(database: Database, granularity: str, before: float) -> int:
    columns = usage_rollups.c
    is_old = (columns.granularity == granularity) & (columns.bucket < before)
    return await _remove(database, usage_rollups, is_old)


async def dead_letters(database: Database, before: float) -> int:
    return await _remove(database, usage_dead_letters, usage_dead_letters.c.at < before)


async def _remove(database: Database, table: Table, is_old: ColumnElement[bool]) -> int:
    """In transactions of AT_ONCE rows each."""
    key = tuple_(*table.primary_key)
    some = select(*table.primary_key).where(is_old).limit(AT_ONCE).with_for_update(skip_locked=True)
    one: ColumnElement[int] = literal_column("1")
    remove = delete(table).where(key.in_(some)).returning(one)
    removed = 0
    while True:
        async with database.session() as session:
            count = len((await session.execute(remove)).all())
        removed += count
        if count < AT_ONCE:
            return removed
