"""A line of those that wait: fair between tenants, and in order within each."""

import math
from collections import Counter
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from serving.bls.scheduling.fairness import FairShare
from serving.bls.scheduling.job import Entry

_turns = count(1)
_Key = tuple[bool, float, int, Entry]


class Line:
    """Every operation costs O(log n). What has left stays in the heaps until it comes up.

    Within a tenant who has begun goes first, then calls of programs by the start of the program.
    """

    def __init__(self, fair: FairShare) -> None:
        self._fair = fair
        self._tenants: dict[str, list[_Key]] = {}
        self._counters: dict[str, float] = {}  # those in the heap below; older ones do not count
        self._by_counter: list[tuple[float, str]] = []
        self._by_age: list[tuple[float, int, Entry]] = []
        self._entries: dict[Entry, None] = {}
        self._of_rank: Counter[int] = Counter()
        self.tenants: Counter[str] = Counter()  # how many of each wait
        self._pushed = 0
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def waiting_of(self, rank: int) -> int:
        return self._of_rank[rank]

    def push(self, entry: Entry, tenant: str) -> None:
        entry.turn = next(_turns)
        self._entries[entry] = None
        self._count(entry, 1)
        if self._fair[tenant] < self._counters.get(tenant, math.inf):
            self._stand(tenant)
        key = (not entry.has_begun, entry.order_s, entry.turn, entry)
        heappush(self._tenants.setdefault(tenant, []), key)
        heappush(self._by_age, (entry.since_s, entry.turn, entry))
        self._tidy()

    def remove(self, entry: Entry) -> None:
        del self._entries[entry]
        entry.turn = 0
        self._count(entry, -1)

    def _count(self, entry: Entry, change: int) -> None:
        self._of_rank[entry.job.rank] += change
        self.tenants[entry.job.tenant] += change
        if not self.tenants[entry.job.tenant]:
            del self.tenants[entry.job.tenant]
        self.tokens += change * entry.job.tokens

    def _stand(self, tenant: str) -> None:
        """Among the others, by what it was served until now."""
        self._counters[tenant] = self._fair[tenant]
        heappush(self._by_counter, (self._fair[tenant], tenant))

    def first(self) -> Entry | None:
        """Whose turn it is: of the tenant that was served least."""
        while self._by_counter:
            counter, tenant = self._by_counter[0]
            if counter != self._counters.get(tenant):
                heappop(self._by_counter)
            elif (entry := _top(self._tenants[tenant])) is None:
                heappop(self._by_counter)
                del self._tenants[tenant], self._counters[tenant]
            elif self._fair[tenant] > counter:
                heappop(self._by_counter)
                self._stand(tenant)
            else:
                return entry
        return None

    def oldest(self) -> Entry | None:
        """Who has waited longest."""
        while self._by_age and self._by_age[0][2].turn != self._by_age[0][1]:
            heappop(self._by_age)
        return self._by_age[0][2] if self._by_age else None

    def _tidy(self) -> None:
        """Once more has come than waits twice over, forget what has left."""
        self._pushed += 1
        if self._pushed <= 2 * len(self._entries) + 64:
            return
        self._pushed = len(self._entries)
        self._by_age = [each for each in self._by_age if each[2].turn == each[1]]
        heapify(self._by_age)
        living = ((name, _living(heap)) for name, heap in self._tenants.items())
        self._tenants = {name: heap for name, heap in living if heap}
        self._counters = {name: self._fair[name] for name in self._tenants}
        self._by_counter = [(counter, name) for name, counter in self._counters.items()]
        heapify(self._by_counter)


def _living(heap: list[_Key]) -> list[_Key]:
    left = [key for key in heap if key[3].turn == key[2]]
    heapify(left)
    return left


def _top(heap: list[_Key]) -> Entry | None:
    while heap and heap[0][3].turn != heap[0][2]:
        heappop(heap)
    return heap[0][3] if heap else None
