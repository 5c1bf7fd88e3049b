"""Takes committed policy to Redis, version by version. Redis may be away, empty, behind or of
another epoch: what the database says becomes what it says.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.backoff import pause_s
from control_plane.metrics import Metrics
from control_plane.store import policy_log
from control_plane.store.database import Database, notified
from control_plane.store.edit import CHANNEL
from control_plane.store.locks import Lock
from serving.adapters.policy_feed import PolicyFeed
from serving.adapters.redis import StoreUnavailable
from serving.contract.errors import Unavailable
from serving.contract.policy import Delta, Version

FAR = 500  # versions behind from which on a whole snapshot is the shorter way
log: structlog.stdlib.BoundLogger = structlog.get_logger("publish")


@dataclass(slots=True)
class Publisher:
    """One of possibly several; the one whose turn it is publishes, for as long as it lives."""

    database: Database
    feed: PolicyFeed
    metrics: Metrics
    poll_s: float
    checkpoint_every: int
    _failures: int = 0  # in a row

    async def run(self) -> NoReturn:
        """Until it is cancelled. A commit in any process wakes it; it also looks by itself."""
        while True:
            try:
                async with self.database.connection() as connection:
                    if await _is_my_turn(connection):
                        await self._publish(connection)
                self._failures = 0  # another one publishes, and the database answers
            except (Unavailable, StoreUnavailable) as error:
                self._failed(error)
            await asyncio.sleep(pause_s(self._failures) if self._failures else self.poll_s)

    async def _publish(self, connection: AsyncConnection) -> NoReturn:
        # Before looking for the first time: nothing can be missed in between.
        await connection.execute(text(f"LISTEN {CHANNEL}"))
        await self.checkpoint()
        while True:
            while not await self.catch_up():
                pass
            self._failures = 0
            await notified(connection, timeout_s=self.poll_s)

    async def catch_up(self) -> bool:
        """Takes Redis nearer to the database; whether it is there."""
        published = await self.feed.version()
        async with self.database.session(is_snapshot=True) as session:
            newest = await policy_log.version(session)
            if published == newest:
                self.metrics.policy_version.set(newest.number)
                return True
            if published is None or not _leads_on(published, newest):
                deltas = []
            else:
                deltas = await policy_log.deltas(session, published, limit=FAR)
        await (self._send(deltas) if deltas else self.checkpoint())
        return False

    async def _send(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if not await self.feed.publish(delta):
                return  # Redis has moved in between: the next look says whereto
        if any(delta.version.number % self.checkpoint_every == 0 for delta in deltas):
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Gives Redis the whole policy. Where Redis knows versions that the database has lost, of
        a backup put back, say, a new epoch makes them void.
        """
        published = await self.feed.version()
        async with self.database.session(is_snapshot=True) as session:
            if published is not None and _is_lost(published, await policy_log.version(session)):
                await policy_log.begin_epoch(session)
                log.warning("policy_epoch_begun", published=published.number)
            snapshot = await policy_log.snapshot(session)
        await self.feed.replace(snapshot)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        away = "redis" if isinstance(error, StoreUnavailable) else "database"
        self.metrics.publish_failures.labels(away).inc()
        log.warning("publish_failed", away=away, reason=str(error))


async def _is_my_turn(connection: AsyncConnection) -> bool:
    """Of several publishers one has the lock, as long as its connection lasts."""
    return bool(await connection.scalar(select(func.pg_try_advisory_lock(Lock.PUBLISH))))


def _leads_on(published: Version, newest: Version) -> bool:
    behind = newest.number - published.number
    return published.epoch == newest.epoch and 0 <= behind <= FAR


def _is_lost(published: Version, newest: Version) -> bool:
    return published.epoch == newest.epoch and published.number > newest.number
