"""How many users there are at which moment of a run that climbs in steps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ramp:
    """Climbs to `users` in `steps` steps of equal length, the last of which ends the run."""

    users: int
    run_time_s: float
    steps: int = 5

    def users_at(self, elapsed_s: float) -> int | None:
        """The users of the step that `elapsed_s` falls into; None when the run is over."""
        if elapsed_s >= self.run_time_s:
            return None
        step = int(elapsed_s / self.run_time_s * self.steps) + 1
        return max(1, round(self.users * step / self.steps))
