"""Replicas side by side under one simulated clock: who gets which request, and when."""

from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from loadtests.simulation.engine import NEVER
from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.replica import Replica, Share
from loadtests.simulation.request import Outcome, Session
from serving.bls.scheduling.policy import Policy


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated. Throughput and fairness count what happens until `window_s`."""

    model: EngineModel
    policy: Policy
    replicas: int
    sessions: tuple[Session, ...]
    window_s: float = NEVER


@dataclass(slots=True)
class Result:
    """What became of it, over all replicas. `served`: tokens by class and tenant."""

    outcomes: list[Outcome]
    served: dict[Share, int]
    made: int = 0
    read: int = 0
    cached: int = 0
    recomputed: int = 0
    preemptions: int = 0
    resent: int = 0
    ended_s: float = 0.0


class Cluster:
    """A session goes to the replica with the fewest requests, and stays with it."""

    def __init__(self, case: Case) -> None:
        self._sessions = case.sessions
        self._replicas = [
            Replica(case.model, case.policy, self._ended, case.window_s)
            for _ in range(case.replicas)
        ]
        self._events: list[tuple[float, int, Replica | None, Session, int]] = []
        self._due: list[tuple[float, int, Replica]] = []
        self._numbers = count()
        self._where: dict[str, tuple[Replica | None, Session, int]] = {}
        self._outcomes: list[Outcome] = []
        self._now_s = 0.0

    def run(self) -> Result:
        for session in self._sessions:
            self._arrive_at(session.starts_s, None, session, 0)
        while self._events or self._due:
            self._step()
        return self._result()

    def _arrive_at(
        self, time_s: float, replica: Replica | None, session: Session, call: int
    ) -> None:
        heappush(self._events, (time_s, next(self._numbers), replica, session, call))

    def _step(self) -> None:
        """The next thing that happens; in a replica first, so that an arrival finds it done."""
        arrives_s = self._events[0][0] if self._events else NEVER
        if self._due and self._due[0][0] <= arrives_s:
            time_s, _, replica = heappop(self._due)
            if replica.due_s != time_s:
                return  # another time was set since
            self._now_s, replica.due_s = time_s, NEVER
            replica.tick(time_s)
        else:
            self._now_s, _, at, session, call = heappop(self._events)
            replica = at or min(self._replicas, key=_load)
            request = session.calls[call]
            self._where[request.id] = replica, session, call
            replica.submit(request, self._now_s)
        if replica.next_s != replica.due_s:
            replica.due_s = replica.next_s
            if replica.next_s < NEVER:
                heappush(self._due, (replica.next_s, next(self._numbers), replica))

    def _ended(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        replica, session, call = self._where.pop(outcome.request.id)
        if outcome.refusal is None and call + 1 < len(session.calls):
            then_s = self._now_s + session.calls[call + 1].pause_s
            self._arrive_at(then_s, replica, session, call + 1)

    def _result(self) -> Result:
        result = Result(self._outcomes, {}, ended_s=self._now_s)
        for replica in self._replicas:
            add_tokens(result.served, replica.served)
            result.made += replica.tokens.made
            result.read += replica.tokens.read
            result.cached += replica.tokens.cached
            result.recomputed += replica.tokens.recomputed
            result.preemptions += replica.scheduler.counts.preemptions
            result.resent += replica.scheduler.counts.resent_tokens
        return result


def _load(replica: Replica) -> int:
    return replica.load


def add_tokens(to: dict[Share, int], more: dict[Share, int]) -> None:
    for share, tokens in more.items():
        to[share] = to.get(share, 0) + tokens
