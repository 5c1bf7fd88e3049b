"""The commands where no stack is running, and those that need none."""

import pytest
from typer.testing import CliRunner

from serving.cli.logs import LogFile
from serving.cli.main import app


@pytest.fixture
def conch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("CONCH_VAR", "OPENAI_BASE_URL", "OPENAI_API_KEY", "CONCH_MODEL"):
        monkeypatch.delenv(variable, raising=False)
    return lambda *arguments, **more: CliRunner().invoke(app, arguments, **more)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status"], "no stack is running in var; `conch up` starts one"),
        (["logs"], "error: no logs in var/log"),
        (["chat"], "error: no endpoint: var/conch.env is not there"),
    ],
)
def test_command_without_a_stack_fails_in_one_line(conch, arguments, says):
    result = conch(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith(says)
    assert len(result.output.splitlines()) == 1


def test_down_without_a_stack_is_no_error(conch):
    result = conch("down")
    assert (result.exit_code, result.output) == (0, "no stack is running in var\n")


def test_bad_value_fails_in_one_line(conch, monkeypatch):
    monkeypatch.setenv("CONCH_STOP_S", "soon")
    result = conch("up")
    assert result.exit_code == 1
    assert result.output.startswith("error: CONCH_STOP_S='soon': ")


def test_dotenv_file_is_read_and_the_environment_wins(conch, tmp_path, monkeypatch):
    monkeypatch.delenv("CONCH_VAR", raising=False)
    monkeypatch.setenv("CONCH_STOP_S", "4.0")
    (tmp_path / ".env").write_text("CONCH_VAR=elsewhere\nCONCH_STOP_S=wrong\n")
    assert "elsewhere" in conch("status").output


def test_version_is_a_line(conch):
    assert conch("version").output.strip() == "0.1.0"


def test_one_part_can_be_shown_and_an_unknown_one_is_told(conch, tmp_path):
    (tmp_path / "var" / "log").mkdir(parents=True)
    for part in ("gateway", "triton"):
        (tmp_path / "var" / "log" / f"{part}.log").write_text(f"1\n[bold]{part}[/]\n")
    assert conch("logs", "triton", "-n", "1").output == "[bold]triton[/]\n"
    assert "gateway | 1\n" in conch("logs").output
    assert conch("logs", "redis").output.startswith(
        "error: no part 'redis' has logged; there are gateway"
    )


def test_followed_log_survives_being_moved_aside(tmp_path):
    path = tmp_path / "triton.log"
    path.write_text("one\ntwo\n")
    log = LogFile(path)
    assert log.last(1) == ["two\n"]
    with path.open("a") as file:
        file.write("three\n")
    path.replace(tmp_path / "triton.log.1")
    path.write_text("four\n")
    assert log.added() == ["three\n", "four\n"]
    assert log.added() == []
    log.close()
