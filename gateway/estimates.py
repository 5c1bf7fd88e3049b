"""How many tokens a request will take, guessed from what others before it took."""

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.contract.calls import Call
from serving.contract.policy import Limits

TOKENS_PER_BYTE = 0.3
ANSWER_TOKENS = 256.0
RATIO_WEIGHT = 0.05
ANSWER_WEIGHT = 0.2
K = TypeVar("K", bound=Hashable)


class Averages(Generic[K]):
    """Exponentially weighted means of many things; the ones not seen for longest are forgotten."""

    def __init__(self, *, first: float, weight: float, most: int) -> None:
        self._first, self._weight, self._most = first, weight, most
        self._means: OrderedDict[K, float] = OrderedDict()

    def __getitem__(self, key: K) -> float:
        return self._means.get(key, self._first)

    def __len__(self) -> int:
        return len(self._means)

    def learn(self, key: K, value: float) -> None:
        mean = self[key]
        self._means[key] = mean + self._weight * (value - mean)
        self._means.move_to_end(key)
        if len(self._means) > self._most:
            self._means.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens of one request before it has run. `is_guess`: nothing bounds its answer."""

    prompt_tokens: int
    completion_tokens: int
    is_guess: bool


class Estimates:
    """Prompt tokens by the bytes of a model's prompts, answers by a caller's other answers."""

    def __init__(self) -> None:
        self._ratios: Averages[str] = Averages(
            first=TOKENS_PER_BYTE, weight=RATIO_WEIGHT, most=1_000
        )
        self._answers: Averages[tuple[str, str]] = Averages(
            first=ANSWER_TOKENS, weight=ANSWER_WEIGHT, most=10_000
        )

    def of(self, caller: str, model: str, calls: Sequence[Call], prompt_bytes: int) -> Estimate:
        known = sum(len(call.input_ids) for call in calls if call.input_ids is not None)
        prompt_tokens = known or math.ceil(prompt_bytes * self._ratios[model])
        average = math.ceil(self._answers[caller, model])
        most = [call.sampling.max_tokens for call in calls]
        lengths = [
            (average if length is None else length) * call.n
            for length, call in zip(most, calls, strict=True)
        ]
        return Estimate(prompt_tokens, sum(lengths), is_guess=None in most)

    def learn_prompt(self, model: str, prompt_bytes: int, tokens: int) -> None:
        """From a request whose prompts were `prompt_bytes` of text."""
        if prompt_bytes and tokens:
            self._ratios.learn(model, tokens / prompt_bytes)

    def learn_answer(self, caller: str, model: str, tokens: float) -> None:
        self._answers.learn((caller, model), tokens)


def affordable(estimate: Estimate, limits: Sequence[Limits]) -> int:
    """Completion tokens to reserve. A guess is never more than could ever pass."""
    if not estimate.is_guess:
        return estimate.completion_tokens
    rooms = [room for its in limits for room in _rooms(its, estimate.prompt_tokens)]
    return min([estimate.completion_tokens, *rooms])


def _rooms(limits: Limits, prompt_tokens: int) -> list[int]:
    rooms = []
    if limits.output_tokens_per_minute:
        rooms.append(max(1, limits.output_tokens_per_minute * limits.burst_s // 60))
    if limits.tokens_per_day:
        rooms.append(max(0, limits.tokens_per_day - prompt_tokens))
    return rooms
