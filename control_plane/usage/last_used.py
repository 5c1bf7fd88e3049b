"""When keys were last used, told to the database at most once a minute for each."""

from collections.abc import Iterable, Mapping

from control_plane.store.usage_reports import KEY
from serving.contract.usage import UsageEvent

AT_MOST_EVERY_S = 60.0


class LastUsed:
    """What this process has seen of each key, and what of that the database knows."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._noted: dict[str, float] = {}

    def saw(self, events: Iterable[UsageEvent]) -> None:
        for event in events:
            kind, _, key_id = event.principal.partition(":")
            if f"{kind}:" == KEY:
                self._seen[key_id] = max(event.began_at, self._seen.get(key_id, 0.0))

    def due(self) -> dict[str, float]:
        """Keys that were used a minute or more after what the database knows."""
        return {
            key_id: at
            for key_id, at in self._seen.items()
            if at - self._noted.get(key_id, -AT_MOST_EVERY_S) >= AT_MOST_EVERY_S
        }

    def noted(self, told: Mapping[str, float]) -> None:
        """The database knows this now."""
        self._noted.update(told)
        self._seen = {key_id: at for key_id, at in self._seen.items() if key_id not in told}
