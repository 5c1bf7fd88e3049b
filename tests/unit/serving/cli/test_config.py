"""`conch config`: what it shows, and what it finds wrong."""

import os

import pytest
from typer.testing import CliRunner

from serving.cli.main import app
from serving.settings.unknown import PREFIXES


@pytest.fixture
def conch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        monkeypatch.delenv(name)
    return lambda *arguments: CliRunner().invoke(app, ["config", *arguments])


def line_of(output: str, name: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith(f"{name} ")).split()


def test_settings_as_they_come_can_be_used(conch):
    assert conch("check").output == "all settings can be used\n"


def test_every_bad_value_is_told_at_once(conch, monkeypatch):
    monkeypatch.setenv("TRITON_HTTP_PORT", "x")
    monkeypatch.setenv("DATABASE_URL", "mysql://me:sesame@h")
    monkeypatch.setenv("CONCH_GRANT_KEY_FILE", "/nowhere")
    result = conch("check")
    assert result.exit_code == 1
    told = [line.partition(": ")[2] for line in result.output.splitlines()]
    assert [line.partition("=")[0] for line in told] == [
        "TRITON_HTTP_PORT",
        "DATABASE_URL",
        "CONCH_GRANT_KEY_FILE",
    ]
    assert "sesame" not in result.output


def test_an_unknown_variable_is_a_warning_and_no_error(conch, monkeypatch):
    monkeypatch.setenv("GATEWAY_PROT", "80")
    result = conch("check")
    assert result.exit_code == 0
    assert "warning: GATEWAY_PROT is no variable of Conch; did you mean GATEWAY_PORT?" in (
        result.output
    )


def test_values_and_defaults_are_shown_beside_one_another(conch, monkeypatch):
    monkeypatch.setenv("GATEWAY_PORT", "8888")
    assert line_of(conch("show").output, "GATEWAY_PORT")[1:3] == ["8888", "8080"]


def test_no_secret_is_shown(conch, monkeypatch):
    monkeypatch.setenv("REDIS_PASSWORD", "sesame")
    monkeypatch.setenv("REDIS_URL", "redis://me:sesame@h")
    shown = conch("show").output
    assert "sesame" not in shown
    assert line_of(shown, "REDIS_PASSWORD")[1] == "(hidden)"
    assert line_of(shown, "REDIS_URL")[1] == "redis://me:(hidden)@h"
    assert "(made by `conch up`)" in shown


def test_what_can_be_used_is_shown_beside_what_cannot(conch, monkeypatch):
    monkeypatch.setenv("TRITON_HTTP_PORT", "x")
    result = conch("show")
    assert result.exit_code == 1
    assert "error: TRITON_HTTP_PORT='x'" in result.output
    assert line_of(result.output, "GATEWAY_PORT")[1] == "8080"


def test_the_group_is_among_the_commands(conch):
    assert "Show the settings" in CliRunner().invoke(app, ["--help"]).output
