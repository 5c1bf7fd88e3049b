"""What the engine's LoRA cache is believed to hold. A wrong belief costs a round trip, no more."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from serving.bls.adapter_worth import Worth


class Mirror:
    """As the engine has it: bounded, and what no request uses goes first, longest unused first.

    Tasks are the engine's ids of adapters. Others may use the engine too, and it tells nobody what
    it drops: what is said here can be wrong in both directions.
    """

    def __init__(self, capacity: int, on_change: Callable[[int], None]) -> None:
        """`on_change` hears how many are resident."""
        self.capacity = capacity
        self._on_change = on_change
        self._resident: OrderedDict[int, int] = OrderedDict()
        self._additions = 0
        self._coming: set[int] = set()
        self._uses: Counter[int] = Counter()
        self._kept: Counter[int] = Counter()
        self._worth = Worth(capacity)
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._resident)

    def is_resident(self, task: int) -> bool:
        return task in self._resident

    def belief(self, task: int) -> int | None:
        """A number for this stay of `task` in the cache; None when it is not there."""
        return self._resident.get(task)

    def is_full_for(self, task: int) -> bool:
        """Whether every place is taken by another that is in use."""
        return len(self._uses.keys() - {task}) >= self.capacity

    def want(self, task: int) -> None:
        """A request asks for it."""
        self._worth.count(task)

    @contextmanager
    def using(self, task: int) -> Iterator[None]:
        """A request of it is in the engine."""
        self._uses[task] += 1
        try:
            yield
        finally:
            self._uses[task] -= 1
            if not self._uses[task]:
                self._rest(task)

    @contextmanager
    def keeping(self, task: int) -> Iterator[None]:
        """One that rests, but will be wanted soon: others make room before it does."""
        self._kept[task] += 1
        try:
            yield
        finally:
            self._kept[task] -= 1
            if not self._kept[task]:
                del self._kept[task]

    def _rest(self, task: int) -> None:
        del self._uses[task]
        if task in self._resident:
            self._resident.move_to_end(task)
        self._freed.set()
        self._freed = asyncio.Event()

    async def freed(self) -> None:
        """Returns when one that was in use is so no longer."""
        await self._freed.wait()

    def to_spare(self, pinned: Collection[int]) -> list[int]:
        """Who would have to be used now, so that the one that makes room is the one least wanted.

        None of them when there is room, or when all that could go are pinned.
        """
        idle = self._idle()
        loose = [task for task in idle if task not in pinned]
        loose = [task for task in loose if task not in self._kept] or loose
        if self._has_room() or not loose:
            return []
        return idle[: idle.index(min(loose, key=self._worth.of))]

    def expect(self, task: int) -> int:
        """Its weights are on their way, for which the engine makes room; how many had to go."""
        self._coming.discard(task)
        gone = 0
        while not self._has_room() and (idle := self._idle()):
            del self._resident[idle[0]]
            gone += 1
        self._coming.add(task)
        self._on_change(len(self._resident))
        return gone

    def add(self, task: int) -> None:
        """The engine has it."""
        self._coming.discard(task)
        self._additions += 1
        self._resident[task] = self._additions
        self._on_change(len(self._resident))

    def give_up(self, task: int) -> None:
        """It does not come after all."""
        self._coming.discard(task)

    def lose(self, task: int, belief: int | None) -> bool:
        """The engine did not have it; False when it has come (back) since that was believed."""
        if self._resident.get(task) != belief:
            return False
        self._resident.pop(task, None)
        self._on_change(len(self._resident))
        return True

    def _has_room(self) -> bool:
        return len(self._resident) + len(self._coming) < self.capacity

    def _idle(self) -> list[int]:
        """Longest unused first."""
        return [task for task in self._resident if task not in self._uses]
