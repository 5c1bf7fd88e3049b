"""A scheduler with a clock of its own, for tests: what they say happens, happens at once."""

from dataclasses import replace
from itertools import count

from serving.bls.scheduling.classes import RANKS
from serving.bls.scheduling.job import Entry, Job, State
from serving.bls.scheduling.policy import ClassRules, Order, Policy
from serving.bls.scheduling.scheduler import Act, Decision, Scheduler
from serving.contract.grant import CLASSES

_numbers = count(1)


def policy_of(
    *, places=2, tokens=1000, unresumable=None, rules=None, order="preempt", **changes
) -> Policy:
    """No floors, no shares and no end of patience, but for what `rules` say of a class."""
    anything = ClassRules(floor=0, share=places, max_waiting=10_000, queue_timeout_s=1e9)
    classes = tuple(replace(anything, **(rules or {}).get(name, {})) for name in CLASSES)
    return Policy(places, tokens, classes, unresumable or places, Order(order), **changes)


def job_of(name="standard", tenant="a", *, prompt=10, answer=10, arrived_s=0.0, **more) -> Job:
    return Job(f"r-{next(_numbers)}", tenant, RANKS[name], prompt, answer, arrived_s, **more)


class Desk:
    """Every act is followed by what the scheduler decides then, which lies in `decisions`."""

    def __init__(self, **changes) -> None:
        self.scheduler = Scheduler(policy_of(**changes))
        self.now_s = 0.0
        self.decisions: list[Decision] = []

    def submit(self, name="standard", tenant="a", **more) -> Entry:
        job = job_of(name, tenant, arrived_s=self.now_s, **more)
        entry = self.scheduler.submit(job, self.now_s)
        self.decide()
        return entry

    def submit_many(self, number, name="standard", tenant="a", **more) -> list[Entry]:
        return [self.submit(name, tenant, **more) for _ in range(number)]

    def decide(self) -> list[Decision]:
        self.decisions = self.scheduler.decide(self.now_s)
        return self.decisions

    def after(self, seconds: float) -> list[Decision]:
        self.now_s += seconds
        return self.decide()

    def progress(self, entry: Entry, tokens: int = 1) -> None:
        self.scheduler.progressed(entry, tokens)

    def end(self, entry: Entry) -> list[Decision]:
        self.scheduler.leave(entry, self.now_s)
        return self.decide()

    def stopped(self, entry: Entry) -> list[Decision]:
        self.scheduler.stopped(entry, self.now_s)
        return self.decide()

    def pause(self, entry: Entry) -> list[Decision]:
        self.scheduler.pause(entry, self.now_s)
        return self.decide()

    def resume(self, entry: Entry) -> list[Decision]:
        self.scheduler.resume(entry, self.now_s)
        return self.decide()

    def pause_class(self, name: str) -> list[Decision]:
        self.scheduler.pause_class(RANKS[name], self.now_s)
        return self.decide()

    def resume_class(self, name: str) -> list[Decision]:
        self.scheduler.resume_class(RANKS[name], self.now_s)
        return self.decide()

    def told(self, act: Act) -> list[Entry]:
        """Whom the last decisions tell to do so."""
        return [decision.entry for decision in self.decisions if decision.act is act]

    @property
    def running(self) -> list[Entry]:
        return [e for e in self.scheduler.room.entries if e.state is State.RUNNING]

    def admitted(self) -> list[Entry]:
        """Serves until nobody waits: the order in which they are let in from now on."""
        order: list[Entry] = []
        while self.scheduler.lines:
            self.end(self.running[0])
            order += self.told(Act.ADMIT)
        return order
