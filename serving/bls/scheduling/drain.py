"""How fast a full engine lets somebody in: measured, for estimates of waiting times."""

from dataclasses import dataclass

SMOOTHING = 0.1
ENOUGH = 8
LEAST_RETRY_S = 0.5


@dataclass(slots=True)
class Drain:
    """The mean time between places that come free while others wait for them."""

    _interval_s: float = 0.0
    _samples: int = 0
    _last_s: float | None = None

    @property
    def interval_s(self) -> float | None:
        """None before enough was seen to say."""
        return self._interval_s if self._samples >= ENOUGH else None

    def freed(self, now_s: float, *, is_wanted: bool) -> None:
        """A place came free; `is_wanted`: somebody waits for it."""
        if self._last_s is not None:
            self._add(now_s - self._last_s)
        self._last_s = now_s if is_wanted else None

    def rest(self) -> None:
        """The engine is not full any more, and nobody waits: what comes now says nothing."""
        self._last_s = None

    def _add(self, interval_s: float) -> None:
        self._samples += 1
        share = max(SMOOTHING, 1 / self._samples)
        self._interval_s += share * (interval_s - self._interval_s)

    def wait_s(self, ahead: int) -> float:
        """How long somebody waits behind `ahead` others; 0 when nothing is known."""
        return (ahead + 1) * (self.interval_s or 0.0) if ahead else 0.0

    def retry_after_s(self, ahead: int) -> float:
        """When to try again behind so many: not sooner than half a second."""
        return max(LEAST_RETRY_S, self.wait_s(ahead))
