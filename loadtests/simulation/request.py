"""What is asked of the simulated stack, and what became of it."""

from dataclasses import dataclass

from serving.bls.scheduling.job import Job


@dataclass(frozen=True, slots=True)
class Request:
    """One call. Its answer has `answer_tokens`, of the `max_tokens` that it may have.

    `pause_s` is how long after the end of the session's call before it comes.
    """

    id: str
    tenant: str
    rank: int
    prompt_tokens: int
    answer_tokens: int
    max_tokens: int
    pause_s: float = 0.0
    program: str | None = None
    is_resumable: bool = True
    weight: float = 1.0
    timeout_s: float | None = None

    def job(self, now_s: float) -> Job:
        return Job(
            id=self.id,
            tenant=self.tenant,
            rank=self.rank,
            prompt_tokens=self.prompt_tokens,
            max_tokens=self.max_tokens,
            arrived_s=now_s,
            is_resumable=self.is_resumable,
            weight=self.weight,
            deadline_s=None if self.timeout_s is None else now_s + self.timeout_s,
            program=self.program,
        )


@dataclass(frozen=True, slots=True)
class Session:
    """Calls one after another; when one is refused, the rest never comes."""

    starts_s: float
    calls: tuple[Request, ...]


@dataclass(slots=True)
class Outcome:
    """How a call went. `refusal` is the code of the error that ended it, None: it was answered."""

    request: Request
    arrived_s: float
    first_s: float | None = None
    ended_s: float | None = None
    refusal: str | None = None
    made: int = 0
    preemptions: int = 0
    ends: int = 0

    @property
    def ttft_s(self) -> float | None:
        return None if self.first_s is None else self.first_s - self.arrived_s

    @property
    def token_s(self) -> float | None:
        """The mean time of a token after the first, pauses and all; None of a refused one."""
        if self.refusal is not None or self.ended_s is None or self.first_s is None:
            return None
        return (self.ended_s - self.first_s) / max(1, self.made - 1)
