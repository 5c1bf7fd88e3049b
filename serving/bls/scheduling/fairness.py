"""Fair sharing between the tenants of a class, by the tokens that each was served.

Virtual token counters (Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024): the
tenant with the lowest counter is next; who comes back from idling starts no lower than the others.
"""

from collections import Counter
from collections.abc import Iterable

PROMPT_COST = 1.0
ANSWER_COST = 2.0  # a token that is made costs about as much as two that are read
MAX_REMEMBERED = 4096


class FairShare:
    """The counters of one class. A tenant is active while it has requests here."""

    def __init__(self) -> None:
        self._counters: dict[str, float] = {}
        self._active: Counter[str] = Counter()

    def __getitem__(self, tenant: str) -> float:
        return self._counters.get(tenant, 0.0)

    def enter(self, tenant: str) -> None:
        """A request of the tenant is there, until it leaves."""
        if not self._active[tenant]:
            others = [self[each] for each in self._active if each != tenant]
            self._counters[tenant] = max(self[tenant], min(others, default=0.0))
        self._active[tenant] += 1

    def leave(self, tenant: str) -> None:
        self._active[tenant] -= 1
        if not self._active[tenant]:
            del self._active[tenant]
            self._forget()

    def charge(self, tenant: str, cost: float) -> None:
        """`cost` is already divided by the tenant's weight."""
        self._counters[tenant] = self[tenant] + cost

    def _forget(self) -> None:
        """Nobody is left to be compared with, or too many are remembered."""
        if not self._active:
            self._counters.clear()
        elif len(self._counters) > MAX_REMEMBERED:
            self._counters = {tenant: self[tenant] for tenant in self._active}


def jain(shares: Iterable[float]) -> float:
    """Jain's index of fairness, (Σx)² / (n·Σx²): 1 when all are equal, 1/n when one has all."""
    values = list(shares)
    squares = sum(value * value for value in values)
    return 1.0 if squares == 0 else sum(values) ** 2 / (len(values) * squares)
