"""The BLS pipeline with a queue of a test's own, on the engine model of the real Triton."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from serving.adapters.triton_stream import TritonStream
from serving.bls.engine import Engine
from serving.bls.grants import Gate
from serving.bls.language import Language
from serving.bls.pipeline import Model, answer
from serving.bls.queue import Queue
from serving.bls.scheduling.policy import ClassRules, Order, Policy
from serving.bls.scheduling.scheduler import Decision
from serving.bls.scheduling.timeouts import TimeLimits
from serving.bls.turns import Turns
from serving.contract.addresses import OWN_GRPC
from serving.contract.calls import Call, Chunk, SequenceState
from serving.contract.errors import ConchError
from serving.contract.grant import Grant, sign

KEY = b"k" * 32
LONG_S = 600.0
LIMITS = TimeLimits(LONG_S, LONG_S, LONG_S)


def policy_of(places: int, order: Order = Order.PREEMPT, **more: Any) -> Policy:
    rules = ClassRules(0, places, 10_000, LONG_S)
    return Policy(places, 32768, (rules,) * 4, places, order, **({"min_run_s": 0.0} | more))


@dataclass
class Told:
    """What one request was told."""

    chunks: list[Chunk] = field(default_factory=list)
    error: ConchError | None = None
    began_s: float = field(default_factory=time.monotonic)
    first_s: float | None = None

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks if chunk.index == 0)

    @property
    def states(self) -> list[SequenceState]:
        return [chunk.state for chunk in self.chunks if chunk.state is not None]

    @property
    def last(self) -> Chunk:
        return self.chunks[-1]

    @property
    def ttft_s(self) -> float:
        assert self.first_s is not None
        return self.first_s - self.began_s

    def emit(self, chunk: Chunk) -> None:
        if chunk.text and self.first_s is None:
            self.first_s = time.monotonic()
        self.chunks.append(chunk)


class World:
    """One queue in front of the stack's engine."""

    def __init__(self, language: Language, policy: Policy, engine: str = "demo_engine") -> None:
        self.decisions: list[Decision] = []
        turns = Turns(policy, on_change=lambda *_: None)
        self.turns = turns
        self._record(turns)
        queue = Queue(turns, LIMITS, LIMITS, {})
        self._triton = TritonStream()
        self.model = Model(Gate("demo", KEY), language, queue, Engine(engine, self._triton.infer))
        self._numbers = count(1)

    async def close(self) -> None:
        await self._triton.close()

    def _record(self, turns: Turns) -> None:
        decide = turns.scheduler.decide

        def recorded(now_s: float) -> list[Decision]:
            made = decide(now_s)
            self.decisions += made
            return made

        turns.scheduler.decide = recorded  # type: ignore[method-assign]

    async def ask(
        self, call: Call, *, ceiling: str = "interactive", tenant: str = "acme", told: Told
    ) -> Told:
        """Ask, and let `told` hear of it; an error stays in it."""
        number = next(self._numbers)
        request_id = f"r-{number}"
        grant = Grant(request_id, "demo", tenant, time.time() + 60, class_ceiling=ceiling)
        call = replace(call, grant=sign(grant, KEY))
        try:
            await answer(self.model, call, request_id, told.emit)
        except ConchError as error:
            told.error = error
        return told

    def start(self, call: Call, **more: Any) -> "tuple[asyncio.Task[Told], Told]":
        told = Told()
        return asyncio.create_task(self.ask(call, told=told, **more)), told

    async def alone(self, call: Call, **more: Any) -> Told:
        told = await self.ask(call, told=Told(), **more)
        assert told.error is None, told.error
        return told


async def until(holds: Any, within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.002)


def use(monkeypatch: Any, stack: Any) -> None:
    """TritonStream calls this Triton."""
    monkeypatch.setenv(OWN_GRPC, stack.triton_grpc)
