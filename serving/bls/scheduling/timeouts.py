"""How long a request may take for what. Pure."""

from dataclasses import dataclass
from typing import Self

from serving.bls.scheduling.job import Entry, State
from serving.contract.calls import Timeouts
from serving.contract.errors import Expired


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds for the whole, to the first token, and between two tokens.

    The first and the last do not count while it is preempted or paused.
    """

    total_s: float
    ttft_s: float
    idle_s: float

    def asked(self, call: Timeouts, caps: Self) -> "TimeLimits":
        """What a call asks for, held to the caps; where it says nothing, these."""
        return TimeLimits(
            _least(call.total_ms, self.total_s, caps.total_s),
            _least(call.ttft_ms, self.ttft_s, caps.ttft_s),
            _least(call.idle_ms, self.idle_s, caps.idle_s),
        )


def _least(asked_ms: int | None, default_s: float, cap_s: float) -> float:
    return default_s if asked_ms is None else min(asked_ms / 1e3, cap_s)


def overdue(
    entry: Entry, limits: TimeLimits, last_token_s: float | None, now_s: float
) -> Expired | None:
    """The error of one that has used up its time; None for one that has time left."""
    if entry.is_halted:
        return None
    age_s = entry.age_s(now_s)
    if age_s > limits.total_s:
        return Expired(f"not answered within its timeout of {limits.total_s:g} s (timeout_ms)")
    if last_token_s is None:
        if age_s > limits.ttft_s:
            return Expired(f"no first token within {limits.ttft_s:g} s (ttft_timeout_ms)")
        return None
    # Since it is back in the engine: what it waited for meanwhile was not the engine.
    silent_s = now_s - max(last_token_s, entry.since_s)
    if entry.state is State.RUNNING and silent_s > limits.idle_s:
        return Expired(f"no token for {limits.idle_s:g} s (idle_timeout_ms)")
    return None
