"""What keeps the control plane from starting, before it has asked anything of its stores."""

import socket

import pytest

from control_plane.__main__ import main

NEEDED = {"CONCH_KEY_PEPPER": "p" * 32, "CONCH_GRANT_KEY": "g" * 32}


@pytest.fixture
def start(monkeypatch, capsys):
    """Starts it with these variables; exit status and what it says."""
    monkeypatch.setattr("control_plane.__main__.set_up_logs", lambda **_: None)

    def started(**variables):
        for name, value in {**NEEDED, **variables}.items():
            monkeypatch.setenv(name, value)
        return main(), capsys.readouterr().err

    return started


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CONTROL_PORT": "0"}, "error: CONTROL_PORT='0': "),
        ({"CONTROL_TRUSTED_PROXIES": "10.0.0"}, "error: CONTROL_TRUSTED_PROXIES='10.0.0': "),
        ({"CONCH_KEY_PEPPER": "short"}, "error: CONCH_KEY_PEPPER=(hidden): "),
        ({"CONTROL_HOST": "192.0.2.1"}, "error: CONTROL_HOST=192.0.2.1, CONTROL_PORT=8090: "),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(start, variables, says):
    status, said = start(**variables)
    assert status == 2
    assert said.startswith(says)
    assert len(said.splitlines()) == 1


def test_a_port_that_is_taken_is_named(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, said = start(CONTROL_PORT=str(port))
    assert status == 2
    assert said.startswith(f"error: CONTROL_HOST=127.0.0.1, CONTROL_PORT={port}: Address already")
