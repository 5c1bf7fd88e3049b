"""What the engine has room for: places and tokens, by class."""

from serving.bls.scheduling.classes import AGENT
from serving.bls.scheduling.job import Entry
from serving.bls.scheduling.policy import Order, Policy


def is_capped(entry: Entry) -> bool:
    """Work that nobody waits for, and that could not be stopped again."""
    return entry.job.rank >= AGENT and not entry.job.is_resumable


class Room:
    """Who is in the engine. A stopping one still holds what it has."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._is_fifo = policy.order is Order.FIFO
        self.entries: dict[Entry, None] = {}
        self.stopping: dict[Entry, None] = {}
        self.tokens = 0
        self.counts = [0] * len(policy.classes)
        self._kept = sum(rules.floor for rules in policy.classes)  # places of floors, not taken
        self._capped = 0
        self.aged = 0  # who came in by age

    def enter(self, entry: Entry) -> None:
        self.entries[entry] = None
        self._count(entry, 1)

    def leave(self, entry: Entry) -> None:
        del self.entries[entry]
        self.stopping.pop(entry, None)
        self._count(entry, -1)

    def stop(self, entry: Entry) -> None:
        self.stopping[entry] = None

    def _count(self, entry: Entry, change: int) -> None:
        rank = entry.job.rank
        self.tokens += change * entry.job.tokens
        self._kept -= self._kept_for(rank)
        self.counts[rank] += change
        self._kept += self._kept_for(rank)
        self._capped += change * is_capped(entry)
        self.aged += change * entry.is_aged

    def _kept_for(self, rank: int) -> int:
        return max(0, self._policy.classes[rank].floor - self.counts[rank])

    @property
    def is_full(self) -> bool:
        return len(self.entries) >= self._policy.places

    @property
    def staying(self) -> list[int]:
        """Places of each class, without those that are stopping."""
        counts = list(self.counts)
        for entry in self.stopping:
            counts[entry.job.rank] -= 1
        return counts

    @property
    def free_tokens(self) -> int:
        return self._policy.tokens - self.tokens

    def free_places(self, rank: int) -> int:
        """For one class: the floors of the others are kept free."""
        free = self._policy.places - len(self.entries)
        if self._is_fifo:
            return free
        free -= self._kept - self._kept_for(rank)
        return min(free, self._policy.classes[rank].share - self.counts[rank])

    def is_open(self, rank: int, *, capped: bool) -> bool:
        """Whether one more of a class may come in, if its tokens fit."""
        if capped and not self._is_fifo and self._capped >= self._policy.unresumable:
            return False
        return self.free_places(rank) > 0

    def holds(self, entry: Entry, held_tokens: int) -> bool:
        """Whether its tokens fit, beside those held for others. Alone, it may always try."""
        return not self.entries or entry.job.tokens <= self.free_tokens - held_tokens
