"""Updates on their way out of the step loop: merged by sequence, held as `holding` says."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from serving.engines.messages import Key, Update


@dataclass(slots=True)
class Outbox:
    """First and last tokens leave at once, the others together every `hold_s` seconds.

    A sequence that is not streamed leaves only as a whole.
    """

    _held: dict[Key, Update] = field(default_factory=dict)
    _flushed_s: float = 0.0

    def take(self, updates: Iterable[Update], now_s: float, hold_s: float) -> list[Update]:
        """Put `updates` in and get what is due at `now_s`."""
        due = {
            u.key: u
            for u in map(self._merge, updates)
            if u.is_last or (u.is_first and u.is_streamed)
        }
        if now_s - self._flushed_s >= hold_s:
            self._flushed_s = now_s
            due |= {key: u for key, u in self._held.items() if u.is_streamed}
        for key in due:
            self._held.pop(key, None)
        return list(due.values())

    def _merge(self, update: Update) -> Update:
        held = self._held.get(update.key)
        if held is not None:
            update.tokens = held.tokens + update.tokens
            update.logprobs = held.logprobs + update.logprobs
            update.is_first = held.is_first
            update.cum_logprob = update.cum_logprob or held.cum_logprob
        self._held[update.key] = update
        return update
