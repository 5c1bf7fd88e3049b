"""When tokens leave the engine: at once while there is CPU to spare, together when there is none.

Every message costs the whole chain about a millisecond of CPU, so on a saturated machine the number
of messages, not of tokens, decides the throughput.
"""

from dataclasses import dataclass

MAX_HOLD_S = 0.1
IDLE_SHARE = 0.1
# Under this many messages a second the chain's own cost stays in the noise of the engine's.
MAX_MESSAGES_PER_S = 250.0


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds since boot that all cores together spent idle, and in all."""

    idle_s: float
    total_s: float


def idle_share(before: CpuTimes, after: CpuTimes) -> float:
    """The share of CPU time between two readings that nobody used; 1.0 when no time passed."""
    total = after.total_s - before.total_s
    return 1.0 if total <= 0 else (after.idle_s - before.idle_s) / total


def hold_s(idle: float, running: int) -> float:
    """How long tokens after the first may wait for company, in seconds.

    Zero while more than `IDLE_SHARE` of the CPU is idle; then what keeps `running` streams under
    `MAX_MESSAGES_PER_S` messages in all, and never above `MAX_HOLD_S`.
    """
    if idle > IDLE_SHARE:
        return 0.0
    return min(MAX_HOLD_S, running / MAX_MESSAGES_PER_S)
