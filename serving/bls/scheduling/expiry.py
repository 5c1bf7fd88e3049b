"""When those that do not run have waited for too long."""

from heapq import heapify, heappop, heappush
from itertools import count

from serving.bls.scheduling.job import Entry

NEVER = float("inf")


class Expiry:
    """A heap of times; who got another time since, or none, is passed over."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Entry]] = []
        self._living = 0
        self._numbers = count()

    def put(self, entry: Entry, expires_s: float) -> None:
        self._living += (expires_s != NEVER) - (entry.expires_s != NEVER)
        entry.expires_s = expires_s
        if expires_s != NEVER:
            heappush(self._heap, (expires_s, next(self._numbers), entry))
            self._tidy()

    def take(self, now_s: float) -> list[Entry]:
        """Those whose time has come."""
        due = []
        while (first := self.next_s()) is not None and first <= now_s:
            entry = self._heap[0][2]
            self.put(entry, NEVER)
            due.append(entry)
        return due

    def next_s(self) -> float | None:
        while self._heap and self._heap[0][2].expires_s != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _tidy(self) -> None:
        if len(self._heap) > 2 * self._living + 64:
            self._heap = [each for each in self._heap if each[2].expires_s == each[0]]
            heapify(self._heap)
