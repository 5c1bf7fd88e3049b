"""Which part is told which secret."""

import pytest

from serving.stack.environment import bare_environment, environment

GIVEN = {
    "REDIS_PASSWORD": "r",
    "DATABASE_PASSWORD": "d",
    "DATABASE_URL_FILE": "/run/url",
    "CONCH_KEY_PEPPER": "p",
    "CONCH_GRANT_KEY_FILE": "/run/grant",
    "GATEWAY_PORT": "9",
}


@pytest.fixture(autouse=True)
def _given(monkeypatch):
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_a_part_gets_its_own_secrets_and_no_others():
    told = environment({}, secrets={"CONCH_GRANT_KEY"})
    assert told["GATEWAY_PORT"] == "9"
    assert told.keys() & GIVEN.keys() == {"CONCH_GRANT_KEY_FILE", "GATEWAY_PORT"}


def test_what_is_made_here_comes_in_place_of_what_is_in_the_environment():
    made = {"REDIS_PASSWORD_FILE": "/var/redis", "CONCH_GRANT_KEY_FILE": "/var/grant"}
    told = environment(made, secrets={"REDIS_PASSWORD", "CONCH_GRANT_KEY"})
    assert "REDIS_PASSWORD" not in told
    assert told.items() >= made.items()


def test_a_program_without_settings_is_told_nothing(monkeypatch):
    monkeypatch.setenv("CONCH_VAR", "/v")
    assert not bare_environment().keys() & GIVEN.keys()
    assert bare_environment()["CONCH_VAR"] == "/v"
