"""The lines of all classes, and whose turn it is among them."""

from collections import Counter
from collections.abc import Iterator

from serving.bls.scheduling.classes import AGENT, INTERACTIVE
from serving.bls.scheduling.fairness import FairShare
from serving.bls.scheduling.job import Entry, Job
from serving.bls.scheduling.line import Line
from serving.bls.scheduling.policy import Order, Policy
from serving.bls.scheduling.room import Room, is_capped

EVERYBODY = ""


class Lines:
    """One line a class, and one more for its work that cannot be stopped, where that is capped.

    By order of arrival there is one line and one tenant for all.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._is_fifo = policy.order is Order.FIFO
        self._fair = [FairShare() for _ in policy.classes]
        self._lines = {
            (rank, capped): Line(fair)
            for rank, fair in enumerate(self._fair)
            for capped in (False, True)
            if rank >= AGENT or not capped
        }
        self._since_aged = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[Entry]:
        """By class, in no order within it."""
        for line in self._lines.values():
            yield from line

    @property
    def interactive(self) -> Line:
        return self._lines[INTERACTIVE, False]

    def join(self, entry: Entry) -> None:
        """Its tenant has a request in its class, until `part`."""
        self._fair_of(entry).enter(self._tenant(entry))

    def part(self, entry: Entry) -> None:
        self._fair_of(entry).leave(self._tenant(entry))

    def charge(self, entry: Entry, cost: float) -> None:
        """Its tenant was served so much, in virtual tokens."""
        self._fair_of(entry).charge(self._tenant(entry), cost / entry.job.weight)

    def counter(self, entry: Entry) -> float:
        """What its tenant was served in its class."""
        return self._fair_of(entry)[self._tenant(entry)]

    def push(self, entry: Entry) -> None:
        self._of(entry).push(entry, self._tenant(entry))

    def remove(self, entry: Entry) -> None:
        self._of(entry).remove(entry)

    def waiting_of(self, rank: int) -> int:
        return sum(line.waiting_of(rank) for line in self._lines.values())

    def ahead(self, job: Job) -> int:
        """How many wait who are let in before a newcomer: of its class, as many of each other
        tenant as of its own.
        """
        if self._is_fifo:
            return len(self.interactive)
        higher = sum(len(line) for key, line in self._lines.items() if key[0] < job.rank)
        waiting = self._tenants_of(job.rank)
        own, total = waiting[job.tenant], waiting.total()
        return higher + min(total, own * max(1, len(waiting)))

    def last_of_largest(self, job: Job) -> Entry | None:
        """Who gives its place in a full line to a newcomer whose tenant has fewer there: the one
        that came last of the tenant that has most.
        """
        waiting = self._tenants_of(job.rank)
        if self._is_fifo or not waiting:
            return None
        ((largest, count),) = waiting.most_common(1)
        if count <= waiting[job.tenant] + 1:
            return None
        new = (entry for entry in self if entry.job.rank == job.rank and not entry.has_begun)
        return max((e for e in new if e.job.tenant == largest), key=_turn, default=None)

    def _tenants_of(self, rank: int) -> Counter[str]:
        """How many of each tenant wait in a class."""
        lines = [line for key, line in self._lines.items() if key[0] == rank]
        return sum((line.tenants for line in lines), Counter[str]())

    def next(self, room: Room, now_s: float) -> Entry | None:
        """Whose turn it is, among those whose class has a place."""
        if room.is_full:
            return None
        lines = [
            line
            for (rank, capped), line in self._lines.items()
            if line and room.is_open(rank, capped=capped)
        ]
        return self._aged(lines, room, now_s) or self._first(lines)

    def took(self, entry: Entry) -> None:
        """Its turn has come; it has left its line."""
        self._since_aged = 0 if entry.is_aged else self._since_aged + 1

    def place(self, entry: Entry) -> tuple[int, float, float]:
        """What decides between the first of two lines."""
        return self._rank(entry), self.counter(entry), entry.order_s

    def _first(self, lines: list[Line]) -> Entry | None:
        first = [entry for line in lines if (entry := line.first()) is not None]
        return min(first, key=self.place, default=None)

    def _aged(self, lines: list[Line], room: Room, now_s: float) -> Entry | None:
        """The first of a line in which one has waited too long for its class, when it is the turn
        of such a one. Age counts between classes; within theirs, tenants share fairly all the same.

        No more of them are in the engine at a time than one in so many places: they are spared.
        """
        every = self._policy.aged_every
        is_their_turn = self._since_aged + 1 >= every
        if self._is_fifo or not is_their_turn or room.aged >= max(1, self._policy.places // every):
            return None
        due = [line for line in lines if self._is_due(line.oldest(), now_s)]
        entry = min(due, key=_oldest_s).first() if due else None
        if entry is not None:
            entry.is_aged = True
        return entry

    def _is_due(self, entry: Entry | None, now_s: float) -> bool:
        if entry is None:
            return False
        return entry.job.rank > 0 and now_s - entry.since_s > self._policy.aging_s * entry.job.rank

    def _rank(self, entry: Entry) -> int:
        return INTERACTIVE if self._is_fifo else entry.job.rank

    def _tenant(self, entry: Entry) -> str:
        return EVERYBODY if self._is_fifo else entry.job.tenant

    def _fair_of(self, entry: Entry) -> FairShare:
        return self._fair[self._rank(entry)]

    def _of(self, entry: Entry) -> Line:
        if self._is_fifo:
            return self.interactive
        return self._lines[entry.job.rank, is_capped(entry)]


def _oldest_s(line: Line) -> float:
    oldest = line.oldest()
    assert oldest is not None
    return oldest.since_s


def _turn(entry: Entry) -> int:
    return entry.turn
