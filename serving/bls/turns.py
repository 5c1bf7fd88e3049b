"""Turns: sequences wait for the engine, run, are stopped and go on, as the scheduler says."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from serving.bls.scheduling.job import Entry, Job, State
from serving.bls.scheduling.policy import Policy
from serving.bls.scheduling.scheduler import Act, Decision, Scheduler
from serving.bls.scheduling.timeouts import TimeLimits, overdue
from serving.contract.calls import SequenceState, Timings
from serving.contract.errors import Cancelled, ConchError, EngineFailed

WATCH_PERIOD_S = 0.1
Tell = Callable[[SequenceState], None]


def _raised(error: BaseException) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class About:
    """What people want to know of a sequence, and the scheduler does not."""

    index: int = 0
    adapter: str | None = None
    session: str | None = None


class Turn:
    """One sequence's place in line, and in the engine.

    `is_over` is set by who has got its last token: then it only has to leave the engine.
    """

    def __init__(
        self, turns: "Turns", entry: Entry, limits: TimeLimits, about: About, tell: Tell
    ) -> None:
        self.entry = entry
        self.limits = limits
        self.about = about
        self.is_over = False
        self._turns = turns
        self._tell = tell
        self._told: SequenceState | None = None
        self._is_called = asyncio.Event()
        self._scope: asyncio.Timeout | None = None
        self._error: Exception | None = None
        self._started_s: float | None = None
        self._first_token_s: float | None = None
        self.last_token_s: float | None = None

    @property
    def waited_ms(self) -> float:
        """Until it was let in first."""
        return self.entry.waited_s * 1e3

    async def run(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Call `attempt` in a place in the engine; again each time that it was stopped there.

        To be stopped is to be cancelled, as by a timeout: what it cleans up then, it has time for.
        Raises what ends the sequence from outside: Expired, Cancelled, EngineFailed.
        """
        while True:
            await self._is_called.wait()
            self._is_called.clear()
            if await self._is_done(attempt) or self.is_over:
                return
            if self._error is not None:
                raise self._error
            if self.entry.state is State.STOPPING:
                self._turns.stopped(self)

    async def _is_done(self, attempt: Callable[[], Awaitable[None]]) -> bool:
        """False when it was interrupted."""
        if self._error is not None or self.entry.state is not State.RUNNING:
            return False
        self._started_s = self._started_s or self._turns.clock()
        try:
            async with asyncio.timeout(None) as self._scope:
                await attempt()
        except TimeoutError:
            if self._scope is None or not self._scope.expired():
                raise
            return False
        finally:
            self._scope = None
        return True

    @property
    def is_to_start_over(self) -> bool:
        """It is being stopped before its first token, and could not go on after one."""
        is_stopping = self.entry.state is State.STOPPING
        return is_stopping and not self.entry.job.is_resumable and not self.entry.has_begun

    def made(self, tokens: int) -> None:
        """It has given so many tokens more."""
        now_s = self._turns.clock()
        self._first_token_s = self._first_token_s or now_s
        self.last_token_s = now_s
        self._turns.progressed(self, tokens, now_s)

    def call(self) -> None:
        """Its turn has come."""
        self._is_called.set()

    def interrupt(self) -> None:
        """It has to leave the engine, whether it is in there already or on its way."""
        self._is_called.set()
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    @property
    def is_ending(self) -> bool:
        return self._error is not None

    def end(self, error: Exception) -> None:
        """It is over, wherever it stands."""
        self._error = self._error or error
        self.interrupt()

    def tell(self) -> None:
        """Say where it stands, when that is news. Who only waits for the first start knows."""
        state = _state_of(self.entry, was_told=self._told is not None)
        if self.is_over or state is None:
            return
        if state is not (self._told or SequenceState.RUNNING):
            self._told = state
            try:
                self._tell(state)
            except Exception as error:  # its own client's, and nobody else's
                self.end(error)

    def timings(self) -> Timings | None:
        """By the clock outside of the engine, for one that was in there more than once."""
        if self._started_s is None or self._first_token_s is None or self.last_token_s is None:
            return None
        halted_s = self.entry.halted_s
        return Timings(
            queue_ms=(self.entry.waited_s + halted_s) * 1e3,
            prefill_ms=(self._first_token_s - self._started_s) * 1e3,
            decode_ms=max(0.0, self.last_token_s - self._first_token_s - halted_s) * 1e3,
        )


def _state_of(entry: Entry, *, was_told: bool) -> SequenceState | None:
    match entry.state:
        case State.PAUSED:
            return SequenceState.PAUSED
        case State.WAITING if entry.stops or was_told:
            return SequenceState.WAITING
        case State.RUNNING:
            return SequenceState.RUNNING
    return None


class Turns:
    """All sequences of one engine. Everything happens in one event loop."""

    def __init__(
        self,
        policy: Policy,
        *,
        on_change: Callable[[int, int], None],
        on_start: Callable[[Entry], None] = lambda _: None,
        show: Callable[[Scheduler, float], None] = lambda *_: None,
        on_error: Callable[[BaseException], None] = _raised,
        hung_after_s: float = 90.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change` hears how many run and how many wait, `on_start` who starts for the first
        time, and `show` every now and then how everything stands. What one of these raises is
        told to `on_error`: it must not stop the others.
        """
        self.scheduler = Scheduler(policy)
        self.clock = clock
        self._on_change = on_change
        self._on_start = on_start
        self._show = show
        self._on_error = on_error
        self._hung_after_s = hung_after_s
        self._turns: dict[Entry, Turn] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._load = (0, 0)
        self._moved_s = clock()

    def __iter__(self) -> Iterator[Turn]:
        return iter(self._turns.values())

    @property
    def running(self) -> int:
        return len(self.scheduler.room.entries)

    @property
    def waiting(self) -> int:
        return len(self.scheduler.lines) + len(self.scheduler.paused)

    @asynccontextmanager
    async def line(
        self, job: Job, limits: TimeLimits, about: About, tell: Tell
    ) -> AsyncIterator[Turn]:
        """Stand in line for the block. Raises Refused at once when that would be in vain."""
        entry = self.scheduler.submit(job, self.clock())
        turn = self._turns[entry] = Turn(self, entry, limits, about, tell)
        try:
            self.settle()
            turn.tell()
            yield turn
        finally:
            del self._turns[entry]
            self.scheduler.leave(entry, self.clock())
            self.settle()

    def progressed(self, turn: Turn, tokens: int, now_s: float) -> None:
        self._moved_s = now_s
        self.scheduler.progressed(turn.entry, tokens)

    def stopped(self, turn: Turn) -> None:
        """It is out of the engine again, without having ended."""
        self.scheduler.stopped(turn.entry, self.clock())
        self.settle()
        turn.tell()

    def named(self, request_id: str) -> list[Turn]:
        """The sequences of a request: by its id here, or by what its gateway calls it."""
        return [turn for turn in self if _is_named(turn.entry.job.id, request_id)]

    def pause(self, turns: list[Turn]) -> None:
        """Raises Conflict for one that could not go on later; the others are paused then."""
        self._each(turns, self.scheduler.pause)

    def resume(self, turns: list[Turn]) -> None:
        self._each(turns, self.scheduler.resume)

    def cancel(self, turns: list[Turn]) -> None:
        for turn in turns:
            error = Cancelled("an operator cancelled the request")
            self.scheduler.counts.refusals[error.code] += 1
            turn.end(error)

    def pause_class(self, rank: int) -> None:
        self.scheduler.pause_class(rank, self.clock())
        self._show_all()

    def resume_class(self, rank: int) -> None:
        self.scheduler.resume_class(rank, self.clock())
        self._show_all()

    def _each(self, turns: list[Turn], act: Callable[[Entry, float], None]) -> None:
        refused: list[ConchError] = []
        for turn in turns:
            try:
                act(turn.entry, self.clock())
            except ConchError as error:
                refused.append(error)
        self._show_all()
        if refused:
            raise refused[0]

    def _show_all(self) -> None:
        self.settle()
        for turn in self:
            turn.tell()

    def settle(self) -> None:
        """Carry out what the scheduler decides now."""
        now_s = self.clock()
        was_idle = not self.running
        for decision in self.scheduler.decide(now_s):
            self._carry_out(decision)
        if was_idle:
            self._moved_s = now_s
        self._wake_at(self.scheduler.wake_s(now_s), now_s)
        load = (self.running, self.waiting)
        if load != self._load:
            self._load = load
            self._on_change(*load)

    def _carry_out(self, decision: Decision) -> None:
        turn = self._turns[decision.entry]
        match decision.act:
            case Act.ADMIT:
                turn.call()
                turn.tell()
                if not decision.entry.stops:
                    self._guarded(self._on_start, decision.entry)
            case Act.STOP:
                turn.interrupt()
            case Act.REFUSE:
                assert decision.error is not None
                turn.end(decision.error)

    def _wake_at(self, wake_s: float | None, now_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wake_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, wake_s - now_s), self.settle)

    async def watch(self) -> None:
        """See, for as long as it is not cancelled, to what takes too long."""
        while True:
            await asyncio.sleep(WATCH_PERIOD_S)
            now_s = self.clock()
            self._end_overdue(now_s)
            self._end_hung(now_s)
            self._guarded(self._show, self.scheduler, now_s)

    def _guarded(self, call: Callable[..., None], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:
            self._on_error(error)

    def _end_overdue(self, now_s: float) -> None:
        for turn in list(self):
            error = overdue(turn.entry, turn.limits, turn.last_token_s, now_s)
            if error is not None and not turn.is_ending:
                self.scheduler.counts.refusals[error.code] += 1
                turn.end(error)

    def _end_hung(self, now_s: float) -> None:
        """An engine that gives nobody a token while it has work makes no steps."""
        if not self.running or now_s - self._moved_s <= self._hung_after_s:
            return
        for entry in list(self.scheduler.room.entries):
            self._turns[entry].end(
                EngineFailed(f"the engine made no token for {self._hung_after_s:g} s; try again")
            )
        self._moved_s = now_s


def _is_named(own: str, request_id: str) -> bool:
    return own == request_id or own.startswith(f"{request_id}-")
