"""The adapter pool: engine requests with an adapter, whatever the engine's LoRA cache holds now.

The weights go along once, with the first request that finds them missing; all others send the
number alone. Before its first token a request may be sent again, after it never.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from serving.bls.adapter import Adapter
from serving.bls.adapter_metrics import AdapterMetrics
from serving.bls.adapter_mirror import Mirror
from serving.bls.adapter_room import Patience, Room
from serving.bls.engine import Arrays, Engine, new_request_id
from serving.bls.engine_tensors import OUTPUTS, Tokens
from serving.contract.errors import ConchError, EngineFailed, Unavailable
from serving.contract.lora_refusals import is_full, is_miss
from serving.contract.wire import single

TOUCH_TIMEOUT_S = 5.0
KEPT_S = 5.0


@dataclass(slots=True)
class _Attempt:
    """One engine request. With a `load` it brings the weights, and others wait for that."""

    adapter: Adapter
    load: asyncio.Event | None
    belief: int | None = None
    has_begun: bool = False


class AdapterPool:
    """`pinned` are the adapters, by task, that should not be what the engine drops next.

    `doubt` is set when the engine may have lost adapters that it had.
    """

    def __init__(
        self,
        engine: Engine,
        mirror: Mirror,
        room: Room,
        metrics: AdapterMetrics,
        *,
        pinned: Callable[[], Mapping[int, Adapter]],
        shortest: Arrays,
    ) -> None:
        """`shortest` are the inputs of a request that only shows whether the engine answers."""
        self._engine = engine
        self._mirror = mirror
        self._room = room
        self._metrics = metrics
        self._pinned = pinned
        self._shortest = shortest
        self._loads: dict[int, asyncio.Event] = {}
        self.doubt = asyncio.Event()

    @asynccontextmanager
    async def stream(
        self, adapter: Adapter, arrays: Arrays, outputs: Sequence[str]
    ) -> AsyncIterator[AsyncIterator[Tokens]]:
        """Tokens of one request. Leaving the block early ends it in the engine before returning.

        Iterating raises AdaptersBusy when the engine has no room for the adapter.
        """
        async with aclosing(self._tokens(adapter, arrays, outputs)) as tokens:
            yield tokens

    def keep(self, adapter: Adapter) -> None:
        """One that was just stopped will want it again: for a while others make room first."""
        use = ExitStack()
        use.enter_context(self._mirror.keeping(adapter.task_id))
        asyncio.get_running_loop().call_later(KEPT_S, use.close)

    def counts(self) -> dict[str, Any]:
        """What became of the requests so far."""
        return self._metrics.counts()

    async def warm(self, adapter: Adapter) -> None:
        """Make the engine have it, and make it the last that the engine would drop."""
        async with self.stream(adapter, self._shortest, OUTPUTS) as tokens:
            async for _ in tokens:
                pass

    async def _tokens(
        self, adapter: Adapter, arrays: Arrays, outputs: Sequence[str]
    ) -> AsyncGenerator[Tokens, None]:
        patience = self._room.patience()
        self._mirror.want(adapter.task_id)
        while True:
            attempt = await self._attempt(adapter)
            try:
                async with aclosing(self._sent(attempt, arrays, outputs, patience)) as stream:
                    async for tokens in stream:
                        yield tokens
            except ConchError as error:
                if not await self._is_healed(error, attempt, patience):
                    raise
            else:
                return
            finally:
                self._loaded(attempt)

    async def _attempt(self, adapter: Adapter) -> _Attempt:
        """Whoever finds an adapter missing first brings it; the others wait for that one."""
        task = adapter.task_id
        while (belief := self._mirror.belief(task)) is None:
            load = self._loads.get(task)
            if load is None:
                self._loads[task] = load = asyncio.Event()
                return _Attempt(adapter, load)
            await load.wait()
        return _Attempt(adapter, None, belief)

    async def _sent(
        self, attempt: _Attempt, arrays: Arrays, outputs: Sequence[str], patience: Patience
    ) -> AsyncGenerator[Tokens, None]:
        adapter = attempt.adapter
        while attempt.load is not None and self._mirror.is_full_for(adapter.task_id):
            await self._room.wait(patience)
        with self._mirror.using(adapter.task_id):
            inputs = {**arrays, **await self._inputs(attempt)}
            if attempt.load is not None:
                self._expect(adapter.task_id)
            began_s = time.monotonic()
            async with self._engine.stream(inputs, outputs, request_id=new_request_id()) as stream:
                async for tokens in stream:
                    if not attempt.has_begun:
                        self._begin(attempt, (time.monotonic() - began_s) * 1e3)
                    yield tokens

    async def _inputs(self, attempt: _Attempt) -> Arrays:
        if attempt.load is None:
            return attempt.adapter.number()
        await self._spare_the_wanted()
        return await asyncio.to_thread(attempt.adapter.whole)

    def _expect(self, task: int) -> None:
        self._metrics.evict(self._mirror.expect(task))
        if not all(map(self._mirror.is_resident, self._pinned().keys() - {task})):
            self.doubt.set()

    async def _spare_the_wanted(self) -> None:
        """The engine drops what was unused for longest, wanted or not: unless it is used now."""
        async with asyncio.TaskGroup() as touches:
            for task in self._mirror.to_spare(self._pinned().keys()):
                touches.create_task(self._touch(task))

    async def _touch(self, task: int) -> None:
        """Use it for a moment, if it is there."""
        belief = self._mirror.belief(task)
        inputs = {**self._shortest, "lora_task_id": single("UINT64", task)}
        try:
            with self._mirror.using(task):
                async with (
                    asyncio.timeout(TOUCH_TIMEOUT_S),
                    self._engine.stream(inputs, OUTPUTS, request_id=new_request_id()) as stream,
                ):
                    async for _ in stream:
                        pass
        except (ConchError, TimeoutError):
            self._mirror.lose(task, belief)
            self.doubt.set()

    def _begin(self, attempt: _Attempt, elapsed_ms: float) -> None:
        """The first token: the engine has the adapter, and there is no way back."""
        attempt.has_begun = True
        name = attempt.adapter.name
        if attempt.load is None:
            self._metrics.hit(name)
            return
        self._metrics.miss(name, elapsed_ms)
        self._mirror.add(attempt.adapter.task_id)
        self._loaded(attempt)

    def _loaded(self, attempt: _Attempt) -> None:
        """Whether it worked or not, those who wait for it go on. A second time is ignored."""
        task = attempt.adapter.task_id
        if attempt.load is not None and self._loads.get(task) is attempt.load:
            del self._loads[task]
            self._mirror.give_up(task)
            attempt.load.set()

    async def _is_healed(self, error: ConchError, attempt: _Attempt, patience: Patience) -> bool:
        """Whether it is worth another try. Raises AdaptersBusy."""
        if isinstance(error, EngineFailed | Unavailable):
            self.doubt.set()
        if attempt.has_begun:
            return False
        if is_full(error):
            await self._room.wait(patience)
            return True
        if not is_miss(error) or attempt.load is not None or not patience.misses_left:
            return False
        patience.misses_left -= 1
        if self._mirror.lose(attempt.adapter.task_id, attempt.belief):
            self._metrics.reload(attempt.adapter.name)
        return True
