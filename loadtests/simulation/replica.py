"""One simulated replica: an engine under the scheduler that serves, told what happens in it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.simulation.engine import NEVER, Engine, Sequence
from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.request import Outcome, Request
from serving.bls.scheduling.job import Entry
from serving.bls.scheduling.policy import Policy
from serving.bls.scheduling.scheduler import Act, Decision, Scheduler
from serving.contract.errors import Refused

LEAST_WAKE_S = 0.001
Share = tuple[int, str]  # rank and tenant
OnEnd = Callable[[Outcome], None]


@dataclass(slots=True)
class Tokens:
    """`made`: of answers, within the window. The others are of prompts, with what was resent:
    `read` by the engine, found in its cache, and of those read what had been read before.
    """

    made: int = 0
    read: int = 0
    cached: int = 0
    recomputed: int = 0


@dataclass(slots=True, eq=False)
class _Stay:
    """An entry and the sequence that it has in the engine.

    It made `before` tokens, and had `computed` in the cache, in earlier ones.
    """

    outcome: Outcome
    entry: Entry
    sequence: Sequence | None = None
    before: int = 0
    computed: int = 0


@dataclass(slots=True)
class Replica:
    """Its caller must not let the time pass `next_s` without `tick`, and hears of every end once.

    What is made after `window_s` is not counted in `served` nor in `tokens.made`.
    """

    model: EngineModel
    policy: Policy
    on_end: OnEnd
    window_s: float = NEVER
    on_decision: Callable[[Decision], None] | None = None
    engine: Engine = field(init=False)
    scheduler: Scheduler = field(init=False)
    tokens: Tokens = field(default_factory=Tokens)
    served: dict[Share, int] = field(default_factory=dict)
    next_s: float = NEVER
    due_s: float = NEVER  # when its caller is to come next
    _stays: dict[Entry, _Stay] = field(default_factory=dict)
    _by_sequence: dict[Sequence, _Stay] = field(default_factory=dict)
    _wake_s: float = field(default=NEVER)

    def __post_init__(self) -> None:
        self.engine = Engine(self.model)
        self.scheduler = Scheduler(self.policy)

    @property
    def load(self) -> int:
        """Requests that run or wait."""
        return len(self._stays)

    def submit(self, request: Request, now_s: float) -> None:
        self._advance(now_s)
        outcome = Outcome(request, now_s)
        try:
            entry = self.scheduler.submit(request.job(now_s), now_s)
        except Refused as error:
            outcome.refusal, outcome.ended_s = error.code, now_s
            outcome.ends += 1
            self.on_end(outcome)
        else:
            self._stays[entry] = _Stay(outcome, entry)
        self._decide(now_s)

    def tick(self, now_s: float) -> None:
        """What is due happens."""
        if self._advance(now_s) or now_s >= self._wake_s:
            self._decide(now_s)
        else:
            self._set_next()

    def _advance(self, now_s: float) -> bool:
        """Whether somebody left the engine."""
        left = self.engine.advance(now_s)
        step = self.engine.step
        for sequence, stay in self._by_sequence.items():
            self._progress(stay, sequence, step, now_s)
        for sequence in left:
            self._left(self._by_sequence.pop(sequence), sequence, now_s)
        return bool(left)

    def _progress(self, stay: _Stay, sequence: Sequence, step: int, now_s: float) -> None:
        new = stay.before + sequence.made(step) - stay.entry.made
        if new == 0:
            return
        if stay.outcome.first_s is None:
            stay.outcome.first_s = sequence.first_s
        self.scheduler.progressed(stay.entry, new)
        if now_s <= self.window_s:
            share = stay.entry.job.rank, stay.entry.job.tenant
            self.tokens.made += new
            self.served[share] = self.served.get(share, 0) + new

    def _left(self, stay: _Stay, sequence: Sequence, now_s: float) -> None:
        self._count_reading(stay, sequence)
        stay.before = stay.entry.made
        if stay.before < stay.outcome.request.answer_tokens:
            self.scheduler.stopped(stay.entry, now_s)
            return
        self.scheduler.leave(stay.entry, now_s)
        self._end(stay, now_s)

    def _count_reading(self, stay: _Stay, sequence: Sequence) -> None:
        cached = sequence.prompt_tokens - sequence.to_read
        read = sequence.to_read - sequence.left_to_read
        self.tokens.read += read
        self.tokens.cached += cached
        self.tokens.recomputed += min(read, max(0, stay.computed - cached))
        made = sequence.made(self.engine.step)
        stay.computed = max(stay.computed, cached + read + max(0, made - 1))

    def _decide(self, now_s: float) -> None:
        for decision in self.scheduler.decide(now_s):
            if self.on_decision is not None:
                self.on_decision(decision)
            stay = self._stays[decision.entry]
            match decision.act:
                case Act.ADMIT:
                    self._admit(stay, now_s)
                case Act.STOP:
                    assert stay.sequence is not None
                    self.engine.stop(stay.sequence, now_s)
                case Act.REFUSE:
                    assert decision.error is not None
                    self._refuse(stay, decision.error, now_s)
        wake_s = self.scheduler.wake_s(now_s)
        self._wake_s = NEVER if wake_s is None else max(wake_s, now_s + LEAST_WAKE_S)
        self._set_next()

    def _set_next(self) -> None:
        self.next_s = min(self.engine.next_s, self._wake_s)

    def _admit(self, stay: _Stay, now_s: float) -> None:
        request, made = stay.outcome.request, stay.entry.made
        key = request.program or request.id
        stay.sequence = Sequence(key, request.prompt_tokens + made, request.answer_tokens - made)
        self._by_sequence[stay.sequence] = stay
        self.engine.add(stay.sequence, now_s)

    def _refuse(self, stay: _Stay, error: Refused, now_s: float) -> None:
        stay.outcome.refusal = error.code
        self._end(stay, now_s)

    def _end(self, stay: _Stay, now_s: float) -> None:
        del self._stays[stay.entry]
        outcome = stay.outcome
        outcome.ended_s, outcome.made = now_s, stay.entry.made
        outcome.preemptions = stay.entry.preemptions
        outcome.ends += 1
        self.on_end(outcome)
