"""A run that climbs in steps."""

from hypothesis import given
from hypothesis import strategies as st

from loadtests.ramp import Ramp


def test_users_climb_in_equal_steps() -> None:
    ramp = Ramp(users=10, run_time_s=50.0)
    assert [ramp.users_at(elapsed_s) for elapsed_s in (0, 9.9, 10, 25, 49.9)] == [2, 2, 4, 6, 10]


def test_the_run_ends_after_its_last_step() -> None:
    assert Ramp(users=10, run_time_s=50.0).users_at(50.0) is None


@given(
    users=st.integers(1, 1000),
    steps=st.integers(1, 20),
    elapsed=st.floats(0, 1, exclude_max=True),
)
def test_a_ramp_never_passes_its_users(users: int, steps: int, elapsed: float) -> None:
    now = Ramp(users, run_time_s=60.0, steps=steps).users_at(60.0 * elapsed)
    assert now is None or 1 <= now <= users
