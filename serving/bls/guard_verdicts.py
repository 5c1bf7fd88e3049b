"""The verdicts of one request that its gateway has yet to hear of. Pure."""

from serving.contract.guardrails import STRENGTH, Action, Verdict

MOST = 64  # of one request
STOPS = (Action.BLOCK, Action.ASK)


class PendingVerdicts:
    """No more than MOST in all: of too many the strongest, of equal ones those that came first.

    The last place is kept for one that ends the request: those before it may have gone already.
    """

    def __init__(self) -> None:
        self._pending: list[Verdict] = []
        self._left = MOST

    def add(self, verdict: Verdict) -> None:
        self._pending.append(verdict)
        room = self._left if verdict.action in STOPS else self._left - 1
        if len(self._pending) > room:
            del self._pending[self._weakest()]

    def take(self) -> tuple[Verdict, ...]:
        """Those that are to be told now, in the order in which they came."""
        taken, self._pending = tuple(self._pending), []
        self._left -= len(taken)
        return taken

    def _weakest(self) -> int:
        strengths = [STRENGTH[verdict.action] for verdict in self._pending]
        return len(strengths) - 1 - strengths[::-1].index(min(strengths))
