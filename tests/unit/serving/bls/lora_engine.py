"""An engine for tests whose LoRA cache is the CPU engine's own, behind scripted tokens."""

from contextlib import aclosing
from dataclasses import dataclass, field

from streams import ScriptedEngine

from serving.bls.adapter import Adapter
from serving.bls.adapter_metrics import AdapterMetrics
from serving.bls.adapter_mirror import Mirror
from serving.bls.adapter_room import Room
from serving.bls.adapters import AdapterPool
from serving.bls.engine import Engine
from serving.bls.engine_tensors import one_token
from serving.contract.lora_refusals import refusal_of
from serving.engines.lora_cache import LoraCache, LoraRefusedError
from serving.lora.record import Record
from serving.lora.store import Stored
from serving.lora.weights import LoraTensors


class LoraEngine(ScriptedEngine):
    """`sent`: for every request its task, and whether the weights came along."""

    def __init__(self, script, places):
        super().__init__(script)
        self._places = places
        self.sent = []
        self.evicted = []
        self.restart()

    def restart(self):
        """All that it held is lost."""
        self.cache = LoraCache(self._places)

    def weights_of(self, task):
        return self.sent.count((task, True))

    async def _run(self, arrays, outputs, request_id):
        task = int(arrays["lora_task_id"].item())
        cache = self.cache
        self._use(cache, task, has_weights="lora_weights" in arrays)
        try:
            async with aclosing(super()._run(arrays, outputs, request_id)) as responses:
                async for made in responses:
                    yield made
        finally:
            cache.done(task)

    def _use(self, cache, task, *, has_weights):
        self.sent.append((task, has_weights))
        try:
            placed = cache.use(task, has_weights=has_weights)
        except LoraRefusedError as error:
            text = f"Executor failed process requestId 7 due to the following error: {error}"
            raise refusal_of(text) from None
        if placed.is_new:
            cache.done(task)
            self.evicted += [] if placed.evicted is None else [placed.evicted]


class Families:
    """Keeps what is reported, by name and labels."""

    def __init__(self):
        self.values = {}

    def counter(self, name, description, model, **labels):
        return self._adding(name, labels)

    def histogram(self, name, description, model, buckets):
        return lambda _: self._adding(f"{name}_count", {})(1)

    def gauge(self, name, description, model):
        return lambda value: self.values.update({name: value})

    def _adding(self, name, labels):
        key = "/".join([name, *labels.values()])
        return lambda value: self.values.update({key: self.values.get(key, 0) + value})


class StandIn(Adapter):
    """An adapter whose tensors nobody looks at."""

    def whole(self):
        return {**self.number(), "lora_weights": None, "lora_config": None}


def adapter(task, *, is_pinned=False):
    record = Record(f"a{task}", 1, "m", task, 8, (), 0.0, "")
    return StandIn(Stored(record, None, is_pinned, False), LoraTensors(None, None))


@dataclass
class World:
    """A pool and the engine under it, with room for as many adapters as `places`."""

    script: object
    places: int = 2
    wait_s: float = 0.3
    max_waiting: int = 8
    pinned: dict = field(default_factory=dict)

    def __post_init__(self):
        self.infer = LoraEngine(self.script, self.places)
        self.families = Families()
        metrics = AdapterMetrics(self.families, "m")
        self.mirror = Mirror(self.places, metrics.resident)
        self.room = Room(self.mirror, wait_s=self.wait_s, max_waiting=self.max_waiting)
        self.pool = AdapterPool(
            Engine("m_engine", self.infer),
            self.mirror,
            self.room,
            metrics,
            pinned=lambda: self.pinned,
            shortest=one_token(2),
        )

    def pin(self, *adapters):
        self.pinned.update({each.task_id: each for each in adapters})

    async def ids(self, adapter):
        """All tokens of one request."""
        async with self.pool.stream(adapter, {}, ("output_ids",)) as stream:
            return [i for tokens in [t async for t in stream] for i in tokens.ids]

    def count(self, name, task=None):
        key = f"conch_adapter_{name}_total"
        return self.families.values.get(key if task is None else f"{key}/a{task}", 0)

    def assert_free(self):
        assert (self.infer.open, self.room.waiting) == ({}, 0)
        assert not self.mirror.is_full_for(0)
        assert not self.pool._loads
