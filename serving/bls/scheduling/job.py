"""What waits and runs: one sequence of a request, as the scheduler knows it."""

from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Where it stands. A stopping one is to leave the engine, but holds its place until it has."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Job:
    """What it asks. Times are in seconds on the scheduler's clock, tokens in tokens.

    `program` names the agent run that it is a call of. One that is not `is_resumable` cannot go on
    where it was stopped.
    """

    id: str
    tenant: str
    rank: int
    prompt_tokens: int
    max_tokens: int
    arrived_s: float
    is_resumable: bool = True
    weight: float = 1.0
    deadline_s: float | None = None
    program: str | None = None

    @property
    def tokens(self) -> int:
        """What it may come to hold in the engine."""
        return self.prompt_tokens + self.max_tokens


@dataclass(slots=True, eq=False)
class Entry:
    """A job on its way. Written by the scheduler alone.

    `since_s` is when its state began, `turn` its number in a line: 0 in none. `order_s` is where
    it stands among those of its tenant: its arrival, or its program's. `waited_s` is how long it
    waited for its first start, `halted_s` how long it was preempted or paused.
    """

    job: Job
    since_s: float
    order_s: float
    state: State = State.WAITING
    turn: int = 0
    made: int = 0
    waited_s: float = 0.0
    halted_s: float = 0.0
    preemptions: int = 0
    stops: int = 0
    is_aged: bool = False
    is_to_pause: bool = False
    is_class_paused: bool = False
    expires_s: float = field(default=float("inf"))

    @property
    def has_begun(self) -> bool:
        """It has given a token."""
        return self.made > 0

    @property
    def is_stoppable(self) -> bool:
        """Whether stopping it loses nothing but time."""
        return self.job.is_resumable or not self.has_begun

    @property
    def is_halted(self) -> bool:
        """Preempted or paused: its own clocks stand still."""
        return self.state is State.PAUSED or (self.state is State.WAITING and self.stops > 0)

    def age_s(self, now_s: float) -> float:
        """Since it arrived, without the time that it was preempted or paused."""
        halted_s = self.halted_s + (now_s - self.since_s if self.is_halted else 0.0)
        return now_s - self.job.arrived_s - halted_s

    @property
    def last_s(self) -> float:
        """Its deadline, or the end of time."""
        return float("inf") if self.job.deadline_s is None else self.job.deadline_s

    def enter(self, state: State, now_s: float) -> None:
        """Change state, and count how long the last one lasted."""
        lasted_s = now_s - self.since_s
        match self.state:
            case State.WAITING if not self.stops:
                self.waited_s += lasted_s
            case State.WAITING | State.PAUSED:
                self.halted_s += lasted_s
        self.state, self.since_s = state, now_s
