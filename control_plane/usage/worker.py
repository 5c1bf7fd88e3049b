"""Stores usage events: books them in one transaction, and puts aside what cannot be booked."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from control_plane.policy_copy import PolicyCopy
from control_plane.store import usage
from control_plane.store.database import Database
from control_plane.store.keys import touch_keys
from control_plane.store.usage import BadRows
from control_plane.usage.fit import Unfit, fitted, private
from control_plane.usage.last_used import LastUsed
from control_plane.usage.ledger import Booked, book
from control_plane.usage.metrics import UsageMetrics
from serving.adapters.usage_stream import Entry
from serving.contract.errors import Unavailable
from serving.contract.usage import UsageEvent

NOT_PARSED = "not a usage event"
log: structlog.stdlib.BoundLogger = structlog.get_logger("usage")


@dataclass(slots=True)
class UsageWorker:
    """Where a consumer of the usage streams brings its entries."""

    database: Database
    policy: PolicyCopy
    metrics: UsageMetrics
    _last_used: LastUsed = field(default_factory=LastUsed)

    async def store(self, entries: Sequence[Entry]) -> None:
        """Each of them, once in effect, or as a dead letter; raises Unavailable."""
        await self._store(entries)
        await self._note_last_use()

    async def _store(self, entries: Sequence[Entry]) -> None:
        """All of them at once; a row that the database refuses is looked for and put aside."""
        try:
            booked = await self._book(entries)
        except BadRows as error:
            await self._store_apart(entries, str(error))
            return
        self._count(booked)

    async def _store_apart(self, entries: Sequence[Entry], reason: str) -> None:
        if len(entries) == 1:
            await self._put_aside([(entries[0], reason)])
            return
        middle = len(entries) // 2
        await self._store(entries[:middle])
        await self._store(entries[middle:])

    async def _book(self, entries: Sequence[Entry]) -> Booked:
        events, unfit = sorted_out(entries)
        async with self.database.session() as session:
            directory = await self.policy.fresh(session)
            kept = [private(event, directory.privacy_of(event.project)) for event in events]
            booked = await book(session, kept)
            await usage.add_dead_letters(session, [_letter(*found) for found in unfit])
        self._told_unfit(unfit)
        return booked

    async def _put_aside(self, unfit: Sequence[tuple[Entry, str]]) -> None:
        async with self.database.session() as session:
            await usage.add_dead_letters(session, [_letter(*found) for found in unfit])
        self._told_unfit(unfit)

    async def _note_last_use(self) -> None:
        """Not worth waiting for: what is not noted now is noted with what comes next."""
        due = self._last_used.due()
        with suppress(Unavailable):
            async with self.database.session() as session:
                await touch_keys(session, due)
            self._last_used.noted(due)

    def _count(self, booked: Booked) -> None:
        for event in booked.events:
            self.metrics.events.labels(event.status.value).inc()
        self._last_used.saw(booked.events)
        self.metrics.replaced.inc(booked.replaced)
        self.metrics.repeated.inc(booked.repeated)

    def _told_unfit(self, unfit: Sequence[tuple[Entry, str]]) -> None:
        self.metrics.dead_letters.inc(len(unfit))
        for entry, reason in unfit:
            log.error("usage_dead_letter", shard=entry.shard, id=entry.stream_id, reason=reason)


def sorted_out(entries: Iterable[Entry]) -> tuple[list[UsageEvent], list[tuple[Entry, str]]]:
    """The events that can be stored, and the other entries with what is wrong with them."""
    events, unfit = [], []
    for entry in entries:
        try:
            events.append(_event_of(entry))
        except Unfit as error:
            unfit.append((entry, str(error)))
    return events, unfit


def _event_of(entry: Entry) -> UsageEvent:
    if entry.event is None:
        raise Unfit(NOT_PARSED)
    return fitted(entry.event)


def _letter(entry: Entry, reason: str) -> tuple[str, str, str, bytes]:
    return f"usage:{entry.shard}", entry.stream_id, reason, entry.payload
