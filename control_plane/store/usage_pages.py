"""Usage events one by one, in order of time, a page at a time."""

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Select, Text, literal, select, tuple_

from control_plane.store.database import Database
from control_plane.store.tables import UnixTime
from control_plane.store.usage import event_of
from control_plane.store.usage_reports import Where, conditions
from control_plane.store.usage_tables import usage_events
from serving.contract.usage import UsageEvent

PAGE = 2000
Place = tuple[float, str]  # of an event: when it began, and its id


async def each_page(database: Database, where: Where) -> AsyncIterator[list[UsageEvent]]:
    """All events, oldest first. Each page is a transaction of its own, so that a slow reader keeps
    none open; what is written meanwhile may be among them or not.
    """
    page = await _page(database, where, None)
    while page:
        yield page
        last = page[-1]
        is_last = len(page) < PAGE
        page = [] if is_last else await _page(database, where, (last.began_at, last.id))


async def _page(database: Database, where: Where, after: Place | None) -> list[UsageEvent]:
    async with database.session() as session:
        return [event_of(row) for row in await session.execute(_query(where, after))]


def _query(where: Where, after: Place | None) -> Select[Any]:
    events = usage_events.c
    query = select(usage_events).where(*conditions(usage_events, where))
    if after is not None:
        began_at, id_ = after
        place = tuple_(literal(began_at, UnixTime), literal(id_, Text))
        query = query.where(tuple_(events.began_at, events.id) > place)
    return query.order_by(events.began_at, events.id).limit(PAGE)
