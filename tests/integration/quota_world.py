"""A governor on a Redis of its own, and requests that go through it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from stores import folder, running_redis

from gateway.ask import Ask
from gateway.governor import Governor, open_governor
from gateway.metrics import Metrics
from gateway.quota_metrics import QuotaMetrics
from gateway.stages.quota import reserve
from gateway.telemetry import Record
from serving.adapters.redis import connect
from serving.adapters.usage_stream import UsageStream
from serving.contract.calls import Call, Chunk, Sampling, Usage
from serving.contract.permissions import Role, permissions_of
from serving.contract.policy import (
    NO_LIMITS,
    Document,
    Limits,
    Model,
    Price,
    Project,
    Snapshot,
    Tenant,
    Version,
)
from serving.contract.principal import Principal
from serving.contract.usage import UsageEvent
from serving.identity.directory import Directory
from serving.identity.documents import change_of
from serving.settings.stores import RedisSettings
from serving.stack.redis import RedisServer

PASSWORD = "p" * 32
PRICE = Price(input_nusd=100, output_nusd=400)
METRICS = Metrics()


def a_directory(*more: Document, limits: Limits = NO_LIMITS) -> Directory:
    """Tenant acme with a project and a priced model; `more` in place of them or beside."""
    documents = {
        "acme": Tenant("acme", "Acme", limits=limits),
        "acme/web": Project("acme/web", "acme", "Web"),
        "demo": Model("demo", PRICE),
    } | {document.id: document for document in more}
    changes = tuple(map(change_of, documents.values()))
    return Directory.of(Snapshot(Version("e", 1), changes))


def a_principal(**more: Any) -> Principal:
    fields: dict[str, Any] = {
        "name": "test",
        "role": Role.SERVICE,
        "permissions": permissions_of(Role.SERVICE),
        "tenant": "acme",
        "project": "acme/web",
    }
    return Principal("key:k1", **fields | more)


def an_ask(max_tokens: int | None = 100, **more: Any) -> Ask:
    call = Call(text="hello", sampling=Sampling(max_tokens=max_tokens))
    return Ask("demo", (call,), **{"prompt_bytes": 40, **more})


def a_record(name: str = "r") -> Record:
    return Record(METRICS, "chat", name)


def tokens(prompt: int, completion: int) -> Chunk:
    """A chunk that reports usage."""
    return Chunk(text="x", usage=Usage(prompt, completion, cached_tokens=0))


@dataclass
class World:
    """A Redis that can be killed and started again with what it held, and a spool folder."""

    server: RedisServer
    spool: Path
    directory: Directory = field(default_factory=a_directory)
    metrics: QuotaMetrics = field(default_factory=lambda: QuotaMetrics(CollectorRegistry()))
    _process: ExitStack = field(default_factory=ExitStack)

    @property
    def settings(self) -> RedisSettings:
        return RedisSettings(url=self.server.url, password=PASSWORD)

    async def start(self) -> None:
        await asyncio.to_thread(self._process.enter_context, running_redis(self.server, PASSWORD))

    async def kill(self) -> None:
        """By SIGKILL."""
        await asyncio.to_thread(self._process.close)

    @asynccontextmanager
    async def governor(self, **options: Any) -> AsyncIterator[Governor]:
        options = {"lease_s": 30.0, "timeout_s": 1.0, **options}
        async with (
            connect(self.settings) as redis,
            open_governor(redis, self.spool, self.metrics, **options) as governor,
        ):
            yield governor

    async def request(
        self, governor: Governor, chunk: Chunk, record: Record | None = None, **ask: Any
    ) -> Record:
        """One that is answered with `chunk`."""
        record = record or a_record()
        async with reserve(governor, self.directory, a_principal(), an_ask(**ask), record):
            record.saw(chunk)
        return record

    async def events(self, count: int) -> list[UsageEvent]:
        """The next `count` events, waited for; there are no others by then."""
        found: list[UsageEvent] = []
        async with connect(self.settings) as redis:
            usage = UsageStream(redis)
            while len(found) < count:
                entries = await usage.read("test", 1_000, block_ms=10_000)
                assert entries, f"{len(found)} of {count} events have come"
                await usage.ack(entries)
                found += [entry.event for entry in entries if entry.event is not None]
        assert len(found) == count
        return found

    async def left(self) -> list[str]:
        """Leases and streams that Redis holds."""
        async with connect(self.settings) as redis:
            keys = [key.decode() async for key in redis.scan_iter("conch:*")]
        return [key for key in keys if ":lease" in key]


def new_world() -> Iterator[World]:
    with folder() as path:
        world = World(RedisServer(path / "redis", path / "redis.sock"), path / "spool")
        try:
            yield world
        finally:
            world._process.close()
