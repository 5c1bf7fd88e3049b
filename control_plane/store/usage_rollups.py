"""The sums of usage over time: written by differences, read by granularity."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.columns import given, parameters
from control_plane.store.usage_tables import usage_rollups

_KEY = [column.name for column in usage_rollups.primary_key]
SUMS = [column.name for column in usage_rollups.c if column.name not in _KEY]

_insert = upsert(usage_rollups).from_select(
    [column.name for column in usage_rollups.c], select(given(usage_rollups))
)
_ADD = _insert.on_conflict_do_update(
    index_elements=_KEY,
    set_={name: usage_rollups.c[name] + _insert.excluded[name] for name in SUMS},
)


async def add(
    session: AsyncSession, differences: Iterable[tuple[tuple[object, ...], tuple[int, ...]]]
) -> None:
    """Adds to the rows of the keys, which come once each and in order; makes those not there."""
    rows = [(*key, *sums) for key, sums in differences]
    if rows:
        await session.execute(_ADD, parameters(usage_rollups, rows))
