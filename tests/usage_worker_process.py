"""Usage workers, each a process that gets to one stage of its first batch and stays there, to be
killed. One that got there prints its pid and how many entries it holds.
"""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from control_plane.policy_copy import PolicyCopy
from control_plane.store.database import Database, connect
from control_plane.usage.consumer import Consumer
from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.settings import UsageSettings
from control_plane.usage.worker import UsageWorker
from serving.adapters import redis
from serving.adapters.usage_stream import UsageStream
from serving.settings.base import load
from serving.settings.stores import DatabaseSettings, RedisSettings

PATIENCE_S = 60  # after that it ends by itself
READ, BOOKED, COMMITTED = STAGES = ("read", "booked", "committed")


async def _stay(entries):
    os.write(1, f"{os.getpid()} {len(entries)}\n".encode())
    await asyncio.Event().wait()


class StuckStream(UsageStream):
    stage = ""
    entries = ()

    async def read(self, *options):
        self.entries = await super().read(*options)
        if self.entries and self.stage == READ:
            await _stay(self.entries)
        return self.entries

    async def ack(self, entries):
        await _stay(entries)


class StuckDatabase(Database):
    stream: StuckStream

    @asynccontextmanager
    async def session(self, **options):
        async with super().session(**options) as session:
            yield session
            if self.stream.stage == BOOKED:
                await _stay(self.stream.entries)


async def main(stage):
    async with redis.connect(load(RedisSettings)) as client, connect(load(DatabaseSettings)) as db:
        stream, database = StuckStream(client), StuckDatabase(db.engine)
        stream.stage, database.stream = stage, stream
        metrics, settings = UsageMetrics(CollectorRegistry()), UsageSettings(batch=5)
        worker = UsageWorker(database, PolicyCopy(), metrics)
        await Consumer(stream, worker.store, metrics, settings).run()


if __name__ == "__main__":
    signal.alarm(PATIENCE_S)
    for stage in STAGES:
        if os.fork() == 0:
            signal.alarm(PATIENCE_S)
            asyncio.run(main(stage))
    for _ in STAGES:
        os.wait()
