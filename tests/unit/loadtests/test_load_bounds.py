"""What keeps a load test finite."""

import pytest

from loadtests.bounds import check_bounds
from loadtests.settings import LoadSettings, RefusedLoad


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> LoadSettings:
    monkeypatch.setenv("OPENAI_API_KEY", "ck_live_secret")
    monkeypatch.setenv("CONCH_LOAD_MAX_USERS", "8")
    return LoadSettings()


def test_a_bounded_run_is_allowed(settings: LoadSettings) -> None:
    check_bounds(settings, users=8, run_time_s=5, is_headless=True)


def test_too_many_users_are_refused(settings: LoadSettings) -> None:
    with pytest.raises(RefusedLoad, match="--users 9 is more than CONCH_LOAD_MAX_USERS=8"):
        check_bounds(settings, users=9, run_time_s=5, is_headless=True)


def test_a_headless_run_needs_an_end(settings: LoadSettings) -> None:
    with pytest.raises(RefusedLoad, match="--run-time"):
        check_bounds(settings, users=1, run_time_s=None, is_headless=True)
    check_bounds(settings, users=1, run_time_s=None, is_headless=False)
