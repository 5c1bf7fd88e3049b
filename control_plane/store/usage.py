"""Usage events in PostgreSQL, many in a statement. Locks are taken in the order of ids."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.columns import given, parameters
from control_plane.store.database import reason
from control_plane.store.usage_tables import usage_dead_letters, usage_events
from serving.contract.usage import Status, UsageEvent

_NAMES = [column.name for column in usage_events.c]
_row = attrgetter(*("status.value" if name == "status" else name for name in _NAMES))
_given = given(usage_events)

_INSERT = (
    upsert(usage_events)
    .from_select(_NAMES, select(_given))
    .on_conflict_do_nothing(index_elements=["id"])
    .returning(usage_events.c.id)
)
_REPLACE = (
    update(usage_events)
    .where(usage_events.c.id == _given.c.id)
    .values({name: _given.c[name] for name in _NAMES})
)


class BadRows(Exception):
    """PostgreSQL cannot store some of the rows; none of the transaction was written."""


@contextmanager
def bad_rows() -> Iterator[None]:
    """Raises BadRows for errors that are the rows' fault: trying them again is of no use."""
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise BadRows(reason(error)) from None


async def add(session: AsyncSession, events: Sequence[UsageEvent]) -> set[str]:
    """Writes the events whose id is not there yet; their ids. Every id once in `events`."""
    rows = sorted(map(_row, events))
    found = await session.scalars(_INSERT, parameters(usage_events, rows))
    return set(found)


async def replace_lost(session: AsyncSession, settled: Sequence[UsageEvent]) -> list[UsageEvent]:
    """Puts settled events in the places of `lost` ones; the lost ones. Others stay as they are."""
    lost = await _locked_lost(session, [event.id for event in settled])
    if lost:
        rows = [_row(event) for event in settled if event.id in lost]
        await session.execute(_REPLACE, parameters(usage_events, rows))
    return list(lost.values())


async def add_dead_letters(
    session: AsyncSession, letters: Sequence[tuple[str, str, str, bytes]]
) -> None:
    """Keeps what could not be stored: name of the stream, id of the entry, reason, payload."""
    names = ("stream", "entry_id", "reason", "payload")
    rows = [dict(zip(names, letter, strict=True)) for letter in letters]
    if rows:
        await session.execute(upsert(usage_dead_letters).on_conflict_do_nothing(), rows)


async def _locked_lost(session: AsyncSession, ids: list[str]) -> dict[str, UsageEvent]:
    events = usage_events.c
    found = await session.execute(
        select(usage_events)
        .where(events.id.in_(ids), events.status == Status.LOST.value)
        .order_by(events.id)
        .with_for_update()
    )
    return {row.id: event_of(row) for row in found}


def event_of(row: Row[tuple[object, ...]]) -> UsageEvent:
    fields = row._asdict()
    return UsageEvent(**fields | {"status": Status(fields["status"])})
