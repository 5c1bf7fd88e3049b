"""The updates of one sequence, put together from the steps that the LLM API makes."""

import time
from dataclasses import dataclass, field

from serving.engines.llmapi import Step
from serving.engines.messages import Key, Update


@dataclass(slots=True)
class Flow:
    """What of a sequence has not left yet. One that is not streamed leaves as a whole."""

    key: Key
    is_streamed: bool
    _held: Update = field(init=False)

    def __post_init__(self) -> None:
        self._held = Update(self.key, is_first=True, first_scheduled_ns=time.monotonic_ns())

    @property
    def is_empty(self) -> bool:
        return not self._held.tokens

    def add(self, step: Step) -> None:
        held, now_ns = self._held, time.monotonic_ns()
        held.tokens += step.tokens
        held.logprobs += step.logprobs
        held.cum_logprob += sum(step.logprobs)
        held.first_token_ns = held.first_token_ns or now_ns
        held.last_token_ns = now_ns
        if step.scheduled_ns is not None:
            # A clock of another process: never let it tell more than can be.
            held.first_scheduled_ns = min(
                max(step.scheduled_ns, held.first_scheduled_ns), held.first_token_ns
            )

    def leave(self, *, is_last: bool) -> Update:
        """All that is held, as one update."""
        leaving = self._held
        leaving.is_streamed = self.is_streamed
        leaving.is_last = is_last
        self._held = Update(
            self.key,
            cum_logprob=leaving.cum_logprob,
            first_scheduled_ns=leaving.first_scheduled_ns,
            first_token_ns=leaving.first_token_ns,
            last_token_ns=leaving.last_token_ns,
        )
        return leaving
