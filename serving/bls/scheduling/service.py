"""How evenly tenants that had to wait were served of late; for people and metrics only."""

from collections import Counter

from serving.bls.scheduling.fairness import jain

WINDOW_S = 60.0


class Service:
    """Tokens that were made for each tenant in this window of time and in the one before."""

    def __init__(self) -> None:
        self._began_s = 0.0
        self._now: Counter[str] = Counter()
        self._before: Counter[str] = Counter()
        self._waited_now: set[str] = set()
        self._waited_before: set[str] = set()

    def made(self, tenant: str, tokens: float) -> None:
        self._now[tenant] += tokens  # type: ignore[assignment]

    def waited(self, tenant: str) -> None:
        """It wanted more than it got."""
        self._waited_now.add(tenant)

    def fairness(self, now_s: float) -> float:
        """Jain's index over the tenants that had to wait; 1 when fewer than two had to."""
        self._turn(now_s)
        waited = self._waited_now | self._waited_before
        return jain(float(self._now[tenant] + self._before[tenant]) for tenant in waited)

    def _turn(self, now_s: float) -> None:
        if now_s - self._began_s < WINDOW_S:
            return
        is_next = now_s - self._began_s < 2 * WINDOW_S
        self._before = self._now if is_next else Counter()
        self._waited_before = self._waited_now if is_next else set()
        self._now, self._waited_now, self._began_s = Counter(), set(), now_s
