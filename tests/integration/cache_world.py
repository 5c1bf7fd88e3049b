"""The cache of gateway processes on a real Redis, before a model that says what tests tell it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from prometheus_client import CollectorRegistry
from quota_world import World, a_directory, a_principal, a_record
from tritonclient.grpc import service_pb2
from tritonclient.grpc.model_config_pb2 import ModelConfig

from gateway.ask import Ask
from gateway.cache_metrics import CacheMetrics
from gateway.cache_versions import Versions
from gateway.response_cache import Cache, Patience, open_cache
from gateway.stages.cache import looked_up
from gateway.stages.grant import Signer
from gateway.telemetry import Record
from serving.adapters.redis import connect
from serving.contract.cache import CacheMode
from serving.contract.calls import Call, Chunk, FinishReason, Sampling, Usage
from serving.contract.control import AdapterItem, encode_list
from serving.contract.policy import Settings
from serving.identity.directory import Directory

LAST = Chunk(finish_reason=FinishReason.STOP, usage=Usage(3, 2))
SAID = [Chunk(text="Hel"), Chunk(text="lo"), LAST]


@dataclass
class ToldTriton:
    """What Triton tells of its models; a test changes it."""

    parameter: str = "first"
    task_id: int = 7
    asked: int = 0

    async def config(self, model: str) -> Any:
        self.asked += 1
        config = ModelConfig(name=model)
        config.parameters["engine"].string_value = "demo_engine"
        config.parameters["weights"].string_value = self.parameter
        return config

    async def metadata(self, _model: str) -> Any:
        return service_pb2.ModelMetadataResponse(versions=["1"])

    async def control(self, *_: Any, **__: Any) -> str:
        item = AdapterItem("pirate", 1, "demo", self.task_id, 8, False, True)
        return encode_list([item]).decode()


@dataclass
class Model:
    """Counts what it is asked, and waits for the test where it holds it."""

    said: Sequence[Chunk | Exception] = tuple(SAID)
    calls: list[Call] = field(default_factory=list)
    running: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go.set()

    @asynccontextmanager
    async def __call__(self, calls: Sequence[Call]) -> AsyncIterator[AsyncIterator[Chunk]]:
        self.calls += calls
        self.running += 1
        try:
            yield self._chunks()
        finally:
            self.running -= 1

    async def _chunks(self) -> AsyncIterator[Chunk]:
        first, *rest = self.said
        yield self._one(first)
        await self.go.wait()
        for said in rest:
            await asyncio.sleep(0)
            yield self._one(said)

    def _one(self, said: Chunk | Exception) -> Chunk:
        if isinstance(said, Exception):
            raise said
        return said


def an_ask(text: str = "hello", *, temperature: float = 0.0, **more: Any) -> Ask:
    call = {name: more.pop(name) for name in ("session", "priority", "deadline_ms") if name in more}
    made = Call(text=text, sampling=Sampling(temperature=temperature), **call)
    ask = Ask("demo", (made,), **more)
    return replace(ask, calls=(replace(made, adapter=ask.adapter),))


@dataclass
class Process:
    """One gateway process."""

    cache: Cache
    registry: CollectorRegistry
    model: Model
    directory: Directory

    async def ask(self, ask: Ask | None = None, **options: Any) -> tuple[list[Chunk], Record]:
        record = a_record()
        async with self.asked(ask or an_ask(), record, **options) as chunks:
            return [chunk async for chunk in chunks], record

    @asynccontextmanager
    async def asked(self, ask: Ask, record: Record, **who: Any) -> AsyncIterator[Any]:
        signer = Signer(None, a_principal(**who))
        async with looked_up(self.cache, self.directory, ask, signer, record, self.model) as chunks:
            yield chunks

    async def outcome(self, ask: Ask | None = None, **who: Any) -> str:
        _, record = await self.ask(ask, **who)
        await self.stored()
        return dict(record.headers).get(b"x-conch-cache", b"none").decode()

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"conch_gateway_cache_{name}_total", labels) or 0.0

    async def stored(self) -> None:
        """Until what was made so far is kept, or is not."""
        async with asyncio.timeout(5):
            while self.cache.flights.has_any or self.cache.keeping.waiting_bytes:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def process(
    world: World, triton: Any, model: Model | None = None, **options: Any
) -> AsyncIterator[Process]:
    settings = options.pop("settings", Settings(cache=CacheMode.EXACT))
    registry = CollectorRegistry()
    patience = Patience(options.pop("timeout_s", 5.0), options.pop("wait_s", 5.0))
    versions = Versions(triton, b"k" * 32, fresh_s=options.pop("fresh_s", 1.0))
    assert not options
    async with (
        connect(world.settings) as redis,
        open_cache(redis, versions, CacheMetrics(registry), patience, most_bytes=1 << 24) as cache,
    ):
        yield Process(cache, registry, model or Model(), a_directory(settings))
