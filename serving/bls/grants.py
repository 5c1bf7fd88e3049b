"""The first stage: what a request may do. Pure but for its memory of the grants it has seen."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from serving.contract.errors import BadGrant, QueueFull
from serving.contract.grant import Grant, anonymous, verify

LONGEST_LIFETIME_S = 300.0
MAX_REMEMBERED = 1 << 18


@dataclass(slots=True)
class Gate:
    """Checks the grants of one model's requests. Without a key none can be checked.

    A grant opens once. Which ones did is known until they expire, in this process: after a restart,
    or at another server of the same model, one could be used again within its few seconds.
    """

    model: str
    key: bytes | None
    clock: Callable[[], float] = time.time
    max_remembered: int = MAX_REMEMBERED
    _used: set[str] = field(default_factory=set)
    _by_expiry: list[tuple[float, str]] = field(default_factory=list)

    def check(self, text: str | None, request_id: str) -> Grant:
        """The grant in force for the request: the one it carries, or the defaults without one.

        Raises BadGrant, and QueueFull when as many grants are remembered as may be.
        """
        if text is None:
            return anonymous(request_id, self.model)
        if self.key is None:
            raise BadGrant(f"'{self.model}' has no grant key: set CONCH_GRANT_KEY_FILE for Triton")
        now_s = self.clock()
        grant = verify(text, self.key, now=now_s)
        self._is_for(grant, request_id, now_s)
        self._use(grant, now_s)
        return grant

    def _is_for(self, grant: Grant, request_id: str, now_s: float) -> None:
        if grant.model != self.model:
            raise BadGrant(f"the grant is for another model than '{self.model}'")
        if grant.request_id != request_id:
            raise BadGrant("the grant is for another request than the one that carries it")
        if grant.expires_at > now_s + LONGEST_LIFETIME_S:
            raise BadGrant(f"the grant lives longer than {LONGEST_LIFETIME_S:g} s")

    def _use(self, grant: Grant, now_s: float) -> None:
        while self._by_expiry and self._by_expiry[0][0] <= now_s:
            self._used.discard(heappop(self._by_expiry)[1])
        if grant.request_id in self._used:
            raise BadGrant("the grant was used before")
        if len(self._used) >= self.max_remembered:
            raise QueueFull("too many grants are in use; try again soon")
        self._used.add(grant.request_id)
        heappush(self._by_expiry, (grant.expires_at, grant.request_id))
