"""A simulated engine: many steps at once, as long as each is like the one before."""

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import sqrt

from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.prefix_cache import PrefixCache

NEVER = float("inf")
_numbers = count()


@dataclass(slots=True, eq=False)
class Sequence:
    """One stay in the engine. `prompt_tokens` are with what it made in earlier stays.

    `key` names what it shares a prefix with, `to_read` what of the prompt was not in the cache.
    """

    key: str
    prompt_tokens: int
    to_make: int
    to_read: int = 0
    left_to_read: int = 0
    first_s: float | None = None
    first_step: int = 0
    last_step: int = 0
    has_joined: bool = False
    has_left: bool = False

    def made(self, step: int) -> int:
        """Tokens that it has given after so many steps of the engine."""
        return 0 if self.first_s is None else min(step, self.last_step) - self.first_step + 1


@dataclass(frozen=True, slots=True)
class _Run:
    """Steps that are alike: each reads `reads` and has `grows` tokens more in the cache."""

    steps: int
    first_s: float
    grows_s: float
    reads: int

    def seconds(self, steps: int) -> float:
        return steps * self.first_s + self.grows_s * (steps * (steps - 1) / 2)

    def steps_until(self, now_s: float, until_s: float) -> int:
        """As many as end until then, begun now; exact for an end that was reckoned likewise."""
        seconds = until_s - now_s
        guess = _root(self.grows_s / 2, self.first_s - self.grows_s / 2, seconds)
        steps = max(0, min(self.steps, round(guess) - 1))
        while steps < self.steps and now_s + self.seconds(steps + 1) <= until_s:
            steps += 1
        return steps


def _root(a: float, b: float, c: float) -> float:
    """The positive x with a·x² + b·x = c, in a form that bears a = 0."""
    return 2 * c / (b + sqrt(b * b + 4 * a * c)) if c > 0 else 0.0


class Engine:
    """Told the time by its caller, who must not let it pass `next_s` without `advance`.

    Changes count from the end of the step that they fall into.
    """

    def __init__(self, model: EngineModel) -> None:
        self.model = model
        self.cache = PrefixCache(model.block_tokens)
        self.now_s = 0.0
        self.step = 0
        self.kv_tokens = 0
        self.read_tokens = 0
        self._decoding = 0
        self._ends: list[tuple[int, int, Sequence]] = []
        self._reading: deque[Sequence] = deque()
        self._joins: deque[tuple[float, Sequence]] = deque()
        self._stops: deque[tuple[float, Sequence]] = deque()
        self._run: _Run | None = None

    def add(self, sequence: Sequence, now_s: float) -> None:
        self._joins.append((now_s + self.model.start_s, sequence))

    def stop(self, sequence: Sequence, now_s: float) -> None:
        """It will be among those that left, unless it ends before."""
        self._stops.append((now_s + self.model.stop_s, sequence))

    @property
    def next_s(self) -> float:
        """When something ends or changes; never when nothing runs or is to come."""
        change_s, run = self._change_s(), self._run
        if run is None or change_s <= self.now_s:
            return max(change_s, self.now_s)
        end_s = self.now_s + run.seconds(run.steps)
        if change_s >= end_s:
            return end_s
        return self.now_s + run.seconds(self._steps_to(run, change_s))

    def advance(self, now_s: float) -> list[Sequence]:
        """Go on to the last end of a step until `now_s`; who left at it, ended or stopped."""
        left: list[Sequence] = []
        while True:
            if not self._reading and not self._decoding and self._change_s() <= now_s:
                self.now_s = max(self.now_s, self._change_s())
            left += self._change()
            run = self._run = self._run or self._shape()
            if run is None:
                return left
            steps = run.steps_until(self.now_s, now_s)
            steps = min(steps, self._steps_to(run, self._change_s()))
            if steps == 0:
                return left
            left += self._make(run, steps)

    def _change_s(self) -> float:
        join_s = self._joins[0][0] if self._joins else NEVER
        stop_s = self._stops[0][0] if self._stops else NEVER
        return min(join_s, stop_s)

    def _steps_to(self, run: _Run, change_s: float) -> int:
        """To the first end of a step that is not before `change_s`."""
        if change_s == NEVER:
            return run.steps
        steps = run.steps_until(self.now_s, change_s)
        is_before = self.now_s + run.seconds(steps) < change_s
        return min(run.steps, max(1, steps + is_before))

    def _change(self) -> list[Sequence]:
        while self._joins and self._joins[0][0] <= self.now_s:
            self._join(self._joins.popleft()[1])
        stopped = []
        while self._stops and self._stops[0][0] <= self.now_s:
            sequence = self._stops.popleft()[1]
            if not sequence.has_joined:
                self._stops.append((self._joins[-1][0], sequence))
            elif not sequence.has_left:
                self._leave(sequence)
                stopped.append(sequence)
        return stopped

    def _join(self, sequence: Sequence) -> None:
        hit = self.cache.take(sequence.key, sequence.prompt_tokens)
        sequence.to_read = sequence.left_to_read = sequence.prompt_tokens - hit
        sequence.has_joined = True
        self.kv_tokens += hit
        self._reading.append(sequence)
        self._run = None

    def _leave(self, sequence: Sequence) -> None:
        """What it holds stays in the cache for as long as there is room."""
        sequence.has_left = True
        if sequence.left_to_read:
            self._reading.remove(sequence)
        else:
            self._decoding -= 1
        tokens = sequence.prompt_tokens - sequence.left_to_read + sequence.made(self.step)
        tokens -= sequence.left_to_read == 0  # the last one that was made was never read
        sequence.last_step = min(sequence.last_step, self.step)
        self.kv_tokens -= tokens
        self.cache.put(sequence.key, tokens)
        self._run = None

    def _shape(self) -> _Run | None:
        """What the next steps are like, until somebody ends or begins to decode."""
        while self._ends and self._ends[0][2].has_left:
            heappop(self._ends)
        steps = self._ends[0][0] - self.step if self._ends else 1 << 40
        reads, pairs, grows_s = 0, 0.0, 0.0
        if self._reading:
            budget = max(1, self.model.step_tokens - self._decoding)
            whole = (self._reading[0].left_to_read - 1) // budget
            reads, pairs = self._mixed(budget)
            grows_s = self.model.prompt_pair_s * reads * reads
            steps = min(steps, max(1, whole))
        elif not self._ends:
            return None
        first_s = self.model.step_time_s(self._decoding, self.kv_tokens, reads, pairs)
        grows_s += self.model.kv_token_s * (reads + self._decoding)
        return _Run(steps, first_s, grows_s, reads)

    def _mixed(self, budget: int) -> tuple[int, float]:
        """What the next step reads, of one prompt or of the next ones too, and its pairs."""
        left, pairs = budget, 0.0
        for sequence in self._reading:
            reads = min(left, sequence.left_to_read)
            before = sequence.prompt_tokens - sequence.left_to_read
            pairs += reads * (before + reads / 2)
            left -= reads
            if left == 0:
                break
        return budget - left, pairs

    def _make(self, run: _Run, steps: int) -> list[Sequence]:
        self.now_s += run.seconds(steps)
        self.step += steps
        self.kv_tokens += steps * (run.reads + self._decoding)
        self._run = None
        self._read(steps * run.reads)
        ended = []
        while self._ends and self._ends[0][0] <= self.step:
            sequence = heappop(self._ends)[2]
            if not sequence.has_left:
                self._leave(sequence)
                ended.append(sequence)
        self.cache.shrink_to(self.model.kv_tokens - self.kv_tokens)
        return ended

    def _read(self, tokens: int) -> None:
        self.read_tokens += tokens
        while tokens:
            sequence = self._reading[0]
            read = min(tokens, sequence.left_to_read)
            sequence.left_to_read -= read
            tokens -= read
            if sequence.left_to_read == 0:
                self._begin(self._reading.popleft())

    def _begin(self, sequence: Sequence) -> None:
        """The step that ends a prompt makes the first token of the answer."""
        sequence.first_s, sequence.first_step = self.now_s, self.step
        sequence.last_step = self.step + sequence.to_make - 1
        self._decoding += 1
        heappush(self._ends, (sequence.last_step, next(_numbers), sequence))
