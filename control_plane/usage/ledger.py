"""Books usage events: each request counts once, however often and in which order its events come.

An event that is not there yet is written and rolled up. A settled event takes the place of a `lost`
one, and the sums change by the difference. Whatever comes after a settled event is ignored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import usage, usage_rollups
from control_plane.usage.rollup import rolled_up
from serving.contract.usage import Status, UsageEvent


@dataclass(frozen=True, slots=True)
class Booked:
    """What was written: new events, and those that took the place of a lost one. The rest was known
    already.
    """

    events: tuple[UsageEvent, ...] = ()
    replaced: int = 0
    repeated: int = 0


async def book(session: AsyncSession, events: Sequence[UsageEvent]) -> Booked:
    """In the transaction of `session`; raises BadRows, after which that is void."""
    with usage.bad_rows():
        each = once_each(events)
        new = await usage.add(session, each)
        known = [e for e in each if e.id not in new and e.status is not Status.LOST]
        lost = await usage.replace_lost(session, known) if known else []
        written = new | {event.id for event in lost}
        added = tuple(event for event in each if event.id in written)
        await usage_rollups.add(session, rolled_up(added, removed=lost))
        return Booked(added, len(lost), len(events) - len(added))


def once_each(events: Iterable[UsageEvent]) -> list[UsageEvent]:
    """One event an id: the first that is settled, or else the first."""
    chosen: dict[str, UsageEvent] = {}
    for event in events:
        before = chosen.get(event.id)
        if before is None or (before.status is Status.LOST and event.status is not Status.LOST):
            chosen[event.id] = event
    return list(chosen.values())
