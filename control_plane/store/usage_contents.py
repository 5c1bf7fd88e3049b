"""Stored prompts and answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.columns import given, parameters
from control_plane.store.usage_tables import contents

_NAMES = [column.name for column in contents.c]
_INSERT = upsert(contents).from_select(_NAMES, select(given(contents))).on_conflict_do_nothing()


@dataclass(frozen=True, slots=True)
class StoredContent:
    """What is kept of one request's texts, as JSON; times are Unix seconds."""

    event_id: str
    tenant: str
    project: str
    began_at: float
    prompt: bytes
    answer: bytes
    is_redacted: bool
    expires_at: float


_row: Any = attrgetter(*_NAMES)


async def add(session: AsyncSession, stored: Sequence[StoredContent]) -> None:
    """Writes those whose id is not there yet."""
    rows = {content.event_id: _row(content) for content in stored}
    if rows:
        await session.execute(_INSERT, parameters(contents, sorted(rows.values())))


async def find(session: AsyncSession, event_id: str) -> StoredContent | None:
    found = await session.execute(select(contents).where(contents.c.event_id == event_id))
    row = found.one_or_none()
    return None if row is None else StoredContent(*row)


async def remove(session: AsyncSession, event_id: str) -> None:
    await session.execute(delete(contents).where(contents.c.event_id == event_id))
