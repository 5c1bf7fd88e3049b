"""How much adapters were asked for lately: counts of requests that fade."""

FADE_AFTER = 16  # requests, for each place of the engine
_FORGOTTEN = 0.5


class Worth:
    """Every so many requests all counts are halved, and small ones forgotten: it stays bounded."""

    def __init__(self, places: int) -> None:
        self._period = FADE_AFTER * max(places, 1)
        self._left = self._period
        self._counts: dict[int, float] = {}

    def count(self, task: int) -> None:
        self._counts[task] = self.of(task) + 1
        self._left -= 1
        if not self._left:
            self._fade()

    def of(self, task: int) -> float:
        return self._counts.get(task, 0.0)

    def _fade(self) -> None:
        self._left = self._period
        halves = ((task, count / 2) for task, count in self._counts.items())
        self._counts = {task: count for task, count in halves if count > _FORGOTTEN}
