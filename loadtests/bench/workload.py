"""What every layer is asked for, and what is measured of each answer."""

from dataclasses import dataclass, field

import numpy as np

PROMPT_TOKENS = 64
ANSWER_TOKENS = 64
# Ids of the bench model's ordinary tokens.
FIRST_ID, LAST_ID = 300, 8000
VOCABULARY = 8192


@dataclass(frozen=True, slots=True)
class Load:
    """`clients` at a time, each sending `requests_each` requests one after another, to `layer`."""

    layer: str
    clients: int
    requests_each: int
    round: int

    def prompts(self, client: int) -> list[list[int]]:
        """Random prompts, different for every layer too: the engine may know no prefix of them."""
        rng = np.random.default_rng([*self.layer.encode(), self.round, self.clients, client])
        shape = (self.requests_each, PROMPT_TOKENS)
        prompts: list[list[int]] = rng.integers(FIRST_ID, LAST_ID, shape).tolist()
        return prompts


@dataclass(slots=True)
class Answer:
    """Arrival times of one answer's messages, in seconds from its request, and its tokens."""

    at_s: list[float] = field(default_factory=list)
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """One layer under one load. CPU seconds are by process name."""

    load: Load
    seconds: float
    answers: tuple[Answer, ...]
    cpu_s: dict[str, float]

    @property
    def tokens(self) -> int:
        return sum(answer.tokens for answer in self.answers)

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds

    @property
    def messages(self) -> int:
        return sum(len(answer.at_s) for answer in self.answers)

    def ttft_ms(self, percentile: float) -> float:
        return percentile_ms([answer.at_s[0] for answer in self.answers], percentile)

    def inter_message_ms(self, percentile: float) -> float:
        gaps = [np.diff(answer.at_s) for answer in self.answers if len(answer.at_s) > 1]
        return percentile_ms(np.concatenate(gaps).tolist() if gaps else [0.0], percentile)


def percentile_ms(values_s: list[float], percentile: float) -> float:
    return float(np.percentile(values_s, percentile)) * 1e3
