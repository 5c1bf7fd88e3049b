"""`conch guardrails test`: lines in, verdicts out, in this process."""

import json

import pytest
from typer.testing import CliRunner

from serving.cli.main import app

POLICY = {
    "id": "mine",
    "checks": [
        {"kind": "words", "action": "block", "phrases": ["project bluebird"]},
        {"kind": "personal", "action": "redact", "kinds": ["email"]},
        {"kind": "tool", "action": "ask", "tools": ["pay"], "only_tainted": True},
    ],
}
LINES = (
    '"What is a bird?"',
    '{"text": "Tell me of Project Bluebird"}',
    "",
    '{"text": "Write to ann@example.org", "stage": "tool_result"}',
    '{"text": "{}", "stage": "tool_call", "tool": "pay", "tainted": true}',
    '{"text": "{}", "stage": "tool_call", "tool": "pay"}',
)


@pytest.fixture
def conch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "mine.json").write_text(json.dumps(POLICY))

    def run(*arguments, lines=LINES, code=0):
        found = CliRunner().invoke(
            app, ["guardrails", "test", "--policy", "mine.json", *arguments], input="\n".join(lines)
        )
        assert found.exit_code == code, found.output
        return found.output

    return run


def test_each_text_is_a_line_of_json(conch):
    found = [json.loads(line) for line in conch("--json").splitlines()]
    assert [each["number"] for each in found] == [1, 2, 3, 4, 5]
    assert [each["action"] for each in found] == ["allow", "block", "redact", "ask", "allow"]
    (verdict,) = found[1]["verdicts"]
    assert (verdict["check"], verdict["stage"]) == ("words", "input")
    assert verdict["policy"].startswith("mine@")
    assert "ann@" not in found[2]["text"]
    assert found[3]["verdicts"][0]["what"] == "tainted"


def test_people_see_a_table_and_how_many_came_to_what(conch):
    output = conch()
    assert "Tell me of Project Bluebird" in output
    assert output.splitlines()[-1] == "5 texts: 2 allow, 1 redact, 1 ask, 1 block"


def test_the_stage_is_said_once_for_all(conch):
    found = json.loads(conch("--json", "--stage", "output", lines=['"ann@example.org"']))
    assert (found["stage"], found["action"]) == ("output", "redact")


STRANGE = (
    *("bird", "7", "{}", '{"text": 7}'),
    *('{"text": "a", "stage": "attic"}', '{"text": "a", "x": 1}'),
)


@pytest.mark.parametrize("line", STRANGE)
def test_a_line_that_is_no_text_is_told_by_its_number(conch, line):
    assert "line 2 is no text" in conch(lines=['"a"', line], code=1)


def test_without_a_stack_a_policy_of_the_control_plane_is_not_to_be_had(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("CONCH_VAR", "CONCH_CONTROL_URL", "CONCH_ADMIN_KEY", "CONCH_ADMIN_KEY_FILE"):
        monkeypatch.delenv(variable, raising=False)
    found = CliRunner().invoke(app, ["guardrails", "test", "--policy", "theirs"], input='"a"')
    assert found.exit_code == 1
    assert "error: no key: " in found.output


def test_topics_are_told_by_their_meaning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    topic = {"kind": "topics", "action": "block", "phrases": ["which shares to buy or sell"]}
    (tmp_path / "money.json").write_text(json.dumps({"id": "money", "checks": [topic]}))
    lines = ['"Is it a good time to sell my stocks?"', '"How do I boil an egg?"']
    found = CliRunner().invoke(
        app, ["guardrails", "test", "--policy", "money.json", "--json"], input="\n".join(lines)
    )
    told = [json.loads(line) for line in found.stdout.splitlines()]
    assert [each["action"] for each in told] == ["block", "allow"]
