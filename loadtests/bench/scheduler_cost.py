"""What one decision of the scheduler costs while many wait, in CPU time: no engine, no I/O."""

import gc
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from statistics import mean, quantiles

from serving.bls.scheduling.classes import RANKS
from serving.bls.scheduling.job import Entry, Job, State
from serving.bls.scheduling.policy import ClassRules, Policy
from serving.bls.scheduling.scheduler import Scheduler

WAITING = (10, 100, 1_000, 10_000)
TENANTS = 50
PLACES = 8
ROUNDS = 2_000
TARGET_US, TARGET_WAITING = 50.0, 1_000
HEAD = "| decision | waiting | mean µs | p99 µs |\n|---|---:|---:|---:|"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of decision with so many in line."""

    decision: str
    waiting: int
    mean_us: float
    p99_us: float

    def __str__(self) -> str:
        return f"| {self.decision} | {self.waiting} | {self.mean_us:.1f} | {self.p99_us:.1f} |"


class Crowd:
    """A full engine and as many as `waiting` in line, of all classes but one and of many tenants.

    Every act ends with as many in line as before. The clock moves on by a step an act.
    """

    def __init__(self, waiting: int) -> None:
        rules = ClassRules(floor=0, share=PLACES, max_waiting=1 << 20, queue_timeout_s=1e9)
        policy = Policy(PLACES, 1 << 40, (rules,) * len(RANKS), unresumable=PLACES // 2)
        self.scheduler = Scheduler(policy)
        self._numbers = count()
        self._now_s = 0.0
        self._names = [name for name in RANKS if name != "interactive"]
        for _ in range(PLACES + waiting):
            self._submit()

    def _job(self, number: int, name: str) -> Job:
        is_resumable = number % 3 > 0
        tenant = f"tenant-{number * 7 % TENANTS}"
        return Job(f"r-{number}", tenant, RANKS[name], 300, 100, self._now_s, is_resumable)

    def _submit(self, name: str | None = None) -> Entry:
        self._now_s += 0.01
        number = next(self._numbers)
        job = self._job(number, name or self._names[number % len(self._names)])
        entry = self.scheduler.submit(job, self._now_s)
        self._decide()
        return entry

    def _decide(self) -> None:
        self.scheduler.decide(self._now_s)
        self.scheduler.wake_s(self._now_s)

    def _running(self) -> Entry:
        return next(e for e in self.scheduler.room.entries if e.state is State.RUNNING)

    def submits(self) -> Iterator[Callable[[], object]]:
        """One comes, and waits; it goes again unseen."""
        while True:
            came: list[Entry] = []
            yield lambda came=came: came.append(self._submit())  # type: ignore[misc]
            self.scheduler.leave(came[0], self._now_s)
            self._decide()

    def progresses(self) -> Iterator[Callable[[], object]]:
        """One that runs has made tokens."""
        while True:
            entry = self._running()
            yield lambda entry=entry: self.scheduler.progressed(entry, 4)  # type: ignore[misc]

    def ends(self) -> Iterator[Callable[[], object]]:
        """One that runs ends, and the next is let in."""
        while True:
            entry = self._running()
            yield lambda entry=entry: self._end(entry)  # type: ignore[misc]
            self._submit()

    def _end(self, entry: Entry) -> None:
        self._now_s += 0.01
        self.scheduler.leave(entry, self._now_s)
        self._decide()

    def preempts(self) -> Iterator[Callable[[], object]]:
        """An interactive request comes, stops another, takes its place, and ends."""
        while True:
            self._now_s += 1.0
            yield self._preempt

    def _preempt(self) -> None:
        person = self._submit("interactive")
        for entry in list(self.scheduler.room.stopping):
            self.scheduler.stopped(entry, self._now_s)
        self._decide()
        self._end(person)


def main() -> None:
    """Prints the table and, last, the figure that is aimed at."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, {TENANTS} tenants, {ROUNDS} times each\n")
    print(HEAD)
    rows = [row for waiting in WAITING for row in _rows(waiting)]
    worst = max(row.mean_us for row in rows if row.waiting == TARGET_WAITING)
    print(f"\n{worst:.1f} µs at {TARGET_WAITING} waiting (target {TARGET_US:.0f})")


def _rows(waiting: int) -> Iterator[Row]:
    kinds = {
        "submit, decide": Crowd.submits,
        "progress": Crowd.progresses,
        "end, decide": Crowd.ends,
    }
    for name, kind in kinds.items():
        yield _printed(name, waiting, kind(Crowd(waiting)), decisions=1)
    # Four decisions in one: it comes, the other has left, it goes in, it ends.
    yield _printed("preempt, a step", waiting, Crowd(waiting).preempts(), decisions=4)


def _printed(
    name: str, waiting: int, acts: Iterator[Callable[[], object]], *, decisions: int
) -> Row:
    took_us = sorted(_took_us(acts, decisions))
    row = Row(name, waiting, mean(took_us), quantiles(took_us, n=100)[98])
    print(row, flush=True)
    return row


def _took_us(acts: Iterator[Callable[[], object]], decisions: int) -> Iterator[float]:
    gc.collect()
    for _ in range(ROUNDS):
        act = next(acts)
        began_ns = time.thread_time_ns()
        act()
        yield (time.thread_time_ns() - began_ns) / 1e3 / decisions


if __name__ == "__main__":
    main()
