"""The scheduler of one engine: told what happens and the time, it says who goes in and who out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from serving.bls.scheduling import refusals
from serving.bls.scheduling.classes import AGENT, INTERACTIVE
from serving.bls.scheduling.drain import Drain
from serving.bls.scheduling.expiry import NEVER, Expiry
from serving.bls.scheduling.fairness import ANSWER_COST, PROMPT_COST
from serving.bls.scheduling.job import Entry, Job, State
from serving.bls.scheduling.lines import Lines
from serving.bls.scheduling.policy import Order, Policy
from serving.bls.scheduling.programs import Programs
from serving.bls.scheduling.room import Room
from serving.bls.scheduling.service import Service
from serving.bls.scheduling.victims import ripe_s, victim
from serving.contract.errors import Conflict, QueueFull, Refused

NOTICEABLE_S = 0.05


class Act(Enum):
    """What is to be done with an entry."""

    ADMIT = auto()  # start it in the engine, or go on with it there
    STOP = auto()  # take it out of the engine, then say `stopped`
    REFUSE = auto()  # it has left: tell it the error


@dataclass(frozen=True, slots=True)
class Decision:
    """`error` comes with REFUSE."""

    act: Act
    entry: Entry
    error: Refused | None = None


@dataclass(slots=True)
class Counts:
    """What was done so far. `resent_tokens` went to the engine once more when they were resumed."""

    admissions: int = 0
    preemptions: int = 0
    resumes: int = 0
    resent_tokens: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


class Scheduler:
    """Every entry that `submit` returns must come to `leave`, whatever state it is in.

    After anything has happened `decide` says what is to be done now, and `wake_s` when to ask again
    if nothing happens until then. Times are seconds on any clock that does not go back.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.counts = Counts()
        self.room = Room(policy)
        self.lines = Lines(policy)
        self.programs = Programs(policy.program_idle_s, 0 if self.is_fifo else policy.held_tokens)
        self.service = Service()
        self.drain = Drain()
        self.paused_ranks: set[int] = set()
        self.paused: dict[Entry, None] = {}
        self._paused_of: Counter[int] = Counter()
        self._expiry = Expiry()
        self._stops: list[Entry] = []
        self._pushed_out: list[Decision] = []
        self._last_victim: Entry | None = None

    @property
    def is_fifo(self) -> bool:
        return self.policy.order is Order.FIFO

    def entries(self) -> Iterator[Entry]:
        """All that have not left."""
        yield from self.room.entries
        yield from self.lines
        yield from self.paused

    def waiting_of(self, rank: int) -> int:
        """How many of a class are not in the engine, the paused ones among them."""
        return self._paused_of[rank] + self.lines.waiting_of(rank)

    def submit(self, job: Job, now_s: float) -> Entry:
        """Let it wait for its turn. Raises Refused when it would wait in vain."""
        try:
            self._check(job, now_s)
        except Refused as error:
            self.counts.refusals[error.code] += 1
            raise
        order_s = job.arrived_s
        if job.program is not None:
            started_s = self.programs.enter(job.program, now_s)
            order_s = order_s if self.is_fifo else started_s
        entry = Entry(job, now_s, order_s)
        self.lines.join(entry)
        entry.is_class_paused = job.rank in self.paused_ranks
        self._return(entry, now_s)
        return entry

    def progressed(self, entry: Entry, tokens: int) -> None:
        """It has given so many tokens more."""
        entry.made += tokens
        self.lines.charge(entry, ANSWER_COST * tokens)
        self.service.made(entry.job.tenant, tokens / entry.job.weight)

    def stopped(self, entry: Entry, now_s: float) -> None:
        """It has left the engine as it was told to, without having ended."""
        self.room.leave(entry)  # no sign of how fast places come free
        self._return(entry, now_s)

    def leave(self, entry: Entry, now_s: float) -> None:
        """It has ended, or is not wanted any more; a second time is ignored."""
        match entry.state:
            case State.ENDED:
                return
            case State.WAITING:
                self.lines.remove(entry)
                self._saw(entry, now_s)
            case State.PAUSED:
                self._rouse(entry)
            case State.RUNNING | State.STOPPING:
                self._free(entry, now_s)
        entry.enter(State.ENDED, now_s)
        self._expiry.put(entry, NEVER)
        self.lines.part(entry)
        if entry.job.program is not None:
            tokens = entry.job.prompt_tokens + entry.made
            self.programs.leave(entry.job.program, tokens, now_s)

    def pause(self, entry: Entry, now_s: float) -> None:
        """Take it out of line, or out of the engine. Raises Conflict when it cannot go on later."""
        if not self._put_aside(entry, now_s):
            raise Conflict(
                f"request '{entry.job.id}' has begun and could not go on where it was stopped; "
                "cancel it, or let it end"
            )
        entry.is_to_pause = True

    def resume(self, entry: Entry, now_s: float) -> None:
        """Let it wait for its turn again; one that is not paused, or whose class is, stays so."""
        entry.is_to_pause = False
        self._go_on(entry, now_s)

    def pause_class(self, rank: int, now_s: float) -> None:
        """Pause all of a class, also those that come later; who cannot be stopped goes on."""
        self.paused_ranks.add(rank)
        for entry in self._of(rank):
            entry.is_class_paused = self._put_aside(entry, now_s)

    def resume_class(self, rank: int, now_s: float) -> None:
        """Who was paused by itself stays so."""
        self.paused_ranks.discard(rank)
        for entry in self._of(rank):
            entry.is_class_paused = False
            self._go_on(entry, now_s)

    def decide(self, now_s: float) -> list[Decision]:
        """What is to be done now, in this order."""
        self.programs.expire(now_s)
        refused = self._pushed_out + self._refuse_expired(now_s)
        self._pushed_out = []
        admitted = []
        while (entry := self._next(now_s)) is not None:
            self._admit(entry, now_s)
            admitted.append(Decision(Act.ADMIT, entry))
        if not self.room.is_full and not self.lines:
            self.drain.rest()
        self._preempt(now_s)
        # One may have left since somebody paused it.
        stops = (entry for entry in self._stops if entry.state is State.STOPPING)
        stopped = [Decision(Act.STOP, entry) for entry in stops]
        self._stops.clear()
        return refused + admitted + stopped

    def wake_s(self, now_s: float) -> float | None:
        """When `decide` may have something new to say though nothing has happened."""
        times = [self._expiry.next_s(), self._ripe_s(now_s)]
        if self.programs.held_tokens and self.lines:
            times.append(self.programs.next_s())
        return min((time for time in times if time is not None), default=None)

    def _ripe_s(self, now_s: float) -> float | None:
        """When one more may be stopped for an interactive request that waits."""
        if self.policy.order is not Order.PREEMPT or not self.lines.interactive:
            return None
        lower = (entry for entry in self.room.entries if entry.job.rank > INTERACTIVE)
        running = (entry for entry in lower if entry.state is State.RUNNING)
        times = (ripe_s(entry, self.policy, self._last_victim) for entry in running)
        return min((time for time in times if time > now_s), default=None)

    def _check(self, job: Job, now_s: float) -> None:
        rules = self.policy.classes[job.rank]
        is_at_once = self._is_let_in(job)
        is_full = self.waiting_of(job.rank) >= rules.max_waiting and not is_at_once
        # A tenant that fills a line gives one of its places there to one that has fewer.
        pushed_out = self.lines.last_of_largest(job) if is_full else None
        if is_full and pushed_out is None:
            raise self._queue_full(job.rank)
        ahead = self.lines.ahead(job)
        wait_s = 0.0 if is_at_once or self._can_preempt(job) else self.drain.wait_s(ahead)
        if job.deadline_s is not None and now_s + wait_s >= job.deadline_s:
            raise refusals.too_late(job, wait_s, now_s)
        if wait_s > rules.queue_timeout_s:
            raise refusals.saturated(job.rank, wait_s, rules)
        if pushed_out is not None:
            error = self._queue_full(job.rank)
            self._pushed_out.append(self._refused(pushed_out, error, now_s))

    def _is_let_in(self, job: Job) -> bool:
        """Whether it would not have to wait at all."""
        if job.rank in self.paused_ranks or self.lines:
            return False
        return self.room.free_places(job.rank) > 0

    def _queue_full(self, rank: int) -> QueueFull:
        waiting = self.waiting_of(rank)
        return refusals.queue_full(rank, waiting, self.drain.retry_after_s(1 + waiting // 10))

    def _refused(self, entry: Entry, error: Refused, now_s: float) -> Decision:
        self.counts.refusals[error.code] += 1
        self.leave(entry, now_s)
        return Decision(Act.REFUSE, entry, error)

    def _can_preempt(self, job: Job) -> bool:
        if job.rank != INTERACTIVE or self.policy.order is not Order.PREEMPT:
            return False
        return any(self.room.counts[INTERACTIVE + 1 :])

    def _of(self, rank: int) -> list[Entry]:
        return [entry for entry in self.entries() if entry.job.rank == rank]

    def _return(self, entry: Entry, now_s: float) -> None:
        """Into its line, or aside."""
        if entry.is_to_pause or entry.is_class_paused:
            self._rest(entry, now_s)
            return
        entry.enter(State.WAITING, now_s)
        self.lines.push(entry)
        timeout_s = self.policy.classes[entry.job.rank].queue_timeout_s
        limit_s = self.policy.max_paused_s if entry.has_begun else timeout_s
        self._expiry.put(entry, min(now_s + limit_s, entry.last_s))

    def _rest(self, entry: Entry, now_s: float) -> None:
        """Aside, where it keeps nobody of its class from being served."""
        entry.enter(State.PAUSED, now_s)
        self.lines.part(entry)
        self.paused[entry] = None
        self._paused_of[entry.job.rank] += 1
        self._expiry.put(entry, min(now_s + self.policy.max_paused_s, entry.last_s))

    def _rouse(self, entry: Entry) -> None:
        del self.paused[entry]
        self._paused_of[entry.job.rank] -= 1
        self.lines.join(entry)

    def _put_aside(self, entry: Entry, now_s: float) -> bool:
        """Pause it, now or once it has left the engine; False when it cannot be paused."""
        if entry.state is State.RUNNING:
            if not entry.is_stoppable:
                return False
            self._stop(entry, now_s)
        elif entry.state is State.WAITING:
            self.lines.remove(entry)
            self._rest(entry, now_s)
        return True

    def _go_on(self, entry: Entry, now_s: float) -> None:
        if entry.state is State.PAUSED and not (entry.is_to_pause or entry.is_class_paused):
            self._rouse(entry)
            self._return(entry, now_s)

    def _stop(self, entry: Entry, now_s: float) -> None:
        entry.enter(State.STOPPING, now_s)
        entry.stops += 1
        self.room.stop(entry)
        self._stops.append(entry)

    def _free(self, entry: Entry, now_s: float) -> None:
        self.room.leave(entry)
        self.drain.freed(now_s, is_wanted=len(self.lines) > 0)

    def _refuse_expired(self, now_s: float) -> list[Decision]:
        refused = []
        for entry in self._expiry.take(now_s):
            retry_after_s = self.drain.retry_after_s(self.lines.ahead(entry.job))
            error = refusals.expired(entry, now_s, retry_after_s)
            refused.append(self._refused(entry, error, now_s))
        return refused

    def _next(self, now_s: float) -> Entry | None:
        """Who goes in now; None when nobody can, or when the first in line has to wait for room.

        Nobody passes one who has the turn but too many tokens, or it would wait for ever; but one
        that has the turn by its age holds up no interactive request.
        """
        entry = self.lines.next(self.room, now_s)
        if entry is None or self._fits(entry):
            return entry
        person = self.lines.interactive.first() if entry.is_aged else None
        if person is None or self.room.free_places(INTERACTIVE) <= 0:
            return None
        return person if self._fits(person) else None

    def _fits(self, entry: Entry) -> bool:
        return self.room.holds(entry, self._held_for(entry))

    def _admit(self, entry: Entry, now_s: float) -> None:
        self._saw(entry, now_s)
        self.lines.remove(entry)
        self.lines.took(entry)
        entry.enter(State.RUNNING, now_s)
        self._expiry.put(entry, NEVER)
        self.room.enter(entry)
        self.counts.admissions += 1
        if entry.stops:
            self.counts.resumes += 1
            self.counts.resent_tokens += entry.job.prompt_tokens + entry.made
        else:
            self.lines.charge(entry, PROMPT_COST * entry.job.prompt_tokens)

    def _saw(self, entry: Entry, now_s: float) -> None:
        if now_s - entry.since_s > NOTICEABLE_S:
            self.service.waited(entry.job.tenant)

    def _preempt(self, now_s: float) -> None:
        """Stop as many as the interactive requests that wait are short of room."""
        line, room = self.lines.interactive, self.room
        share = self.policy.classes[INTERACTIVE].share - room.counts[INTERACTIVE]
        if self.policy.order is not Order.PREEMPT or not line or share <= 0:
            return
        wanted = min(len(line), share)
        places = wanted - max(0, room.free_places(INTERACTIVE)) - len(room.stopping)
        tokens = self._wanted_tokens(wanted) - room.free_tokens
        tokens -= sum(e.job.tokens for e in room.stopping)
        while places > 0 or tokens > 0:
            found = victim(
                room.entries, INTERACTIVE, self.policy, room.staying, self._last_victim, now_s
            )
            if found is None:
                return
            self._take_out(found, now_s)
            places, tokens = places - 1, tokens - found.job.tokens

    def _wanted_tokens(self, wanted: int) -> int:
        """What so many interactive requests need, the first of them in any case."""
        line = self.lines.interactive
        first = line.first()
        assert first is not None
        return max(first.job.tokens, line.tokens * wanted // len(line))

    def _held_for(self, entry: Entry) -> int:
        """Tokens that it must leave to programs."""
        return self.programs.held_tokens if entry.job.rank >= AGENT else 0

    def _take_out(self, entry: Entry, now_s: float) -> None:
        entry.preemptions += 1
        self._last_victim = entry
        self.counts.preemptions += 1
        self._stop(entry, now_s)
