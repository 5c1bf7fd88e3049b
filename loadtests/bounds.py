"""What keeps a load test finite: a number of users and an end."""

from loadtests.settings import LoadSettings, RefusedLoad


def check_bounds(
    settings: LoadSettings, *, users: int | None, run_time_s: float | None, is_headless: bool
) -> None:
    """Raises RefusedLoad for too many users, and for a run that nobody watches and nothing ends."""
    if users is not None and users > settings.max_users:
        raise RefusedLoad(
            f"--users {users} is more than CONCH_LOAD_MAX_USERS={settings.max_users}; "
            "one of the two has to change"
        )
    if is_headless and not run_time_s:
        raise RefusedLoad("a headless run needs an end; add --run-time 30s")
