"""Loads that change as they run; asked for by naming this file: `-f locustfile.py,shapes.py`."""

# Locust's classes and decorators are untyped.
# mypy: allow-subclassing-any, allow-untyped-decorators

from locust import LoadTestShape

from loadtests.ramp import Ramp


class Steps(LoadTestShape):
    """Climbs to --users in five steps over --run-time, at --spawn-rate users a second."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        users = Ramp(options.num_users or 1, options.run_time).users_at(self.get_run_time())
        return None if users is None else (users, options.spawn_rate or users)
