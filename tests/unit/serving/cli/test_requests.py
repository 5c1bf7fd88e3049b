"""`conch requests` against a queue of the test's own, behind Triton's protocol."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from queue_server import KEY, QueueServer, serving
from test_request_ids import ITEM, ONE, TWO
from typer.testing import CliRunner

from serving.cli.main import app
from serving.contract import control
from serving.contract.control import Operation, QueueStats, encode_queue, encode_requests
from serving.contract.errors import Conflict
from serving.stack import state
from serving.stack.layout import Layout

CONCH = Path(sys.executable).with_name("conch")
RUNNING = replace(ITEM, id=ONE, age_s=83.26, made_tokens=7, max_tokens=400)
WAITING = replace(ITEM, id=TWO, state="waiting", class_name="batch", tenant="umbrella",
                  place=1, preemptions=2, why="the engine is full")  # fmt: skip
STATS = QueueStats(
    places=8,
    tokens=16384,
    used_tokens=410,
    waiting={"batch": 1},
    running={"agent": 1},
    paused_classes=("agent",),
    preemptions=2,
    resumes=1,
    refusals={"queue_full": 3},
    fairness=0.98,
    drain_per_s=None,
)
OF_CLASSES = (control.QUEUE, control.PAUSE_CLASS, control.RESUME_CLASS)


def answer(operation: Operation) -> bytes:
    if operation.op in OF_CLASSES:
        return encode_queue(STATS)
    items = [RUNNING, WAITING]
    if operation.op == control.REQUESTS:
        return encode_requests(items)
    if operation.op == control.PAUSE and operation.id == TWO:
        raise Conflict(f"request '{TWO}' is paused already")
    return encode_requests([item for item in items if item.id == operation.id])


@pytest.fixture
def server():
    return QueueServer(answer)


@pytest.fixture
def environment(server, tmp_path, monkeypatch):
    """A stack that runs and uses this server for its Triton."""
    here = Layout(tmp_path / "var")
    here.prepare()
    here.secret("grant_key").write_bytes(KEY)
    pid = os.getpid()
    made = state.StackState(pid, state.created_at(pid), "", "", "demo", None, True, ())
    state.write(here, made)
    with serving(server) as address:
        variables = {"CONCH_VAR": str(here.root), "TRITON_URL": address, "COLUMNS": "160"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield variables


@pytest.fixture
def conch(environment):
    """Runs `conch requests`; its output, and with `--json` what that says."""

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, ["requests", *arguments])
        assert result.exit_code == code, result.output
        return json.loads(result.output) if "--json" in arguments and not code else result.output

    return run


def test_the_list_says_who_stands_where_and_why(conch, server):
    header, first, second = conch("list").splitlines()
    assert header.split() == [
        "id", "class", "tenant", "state", "place", "age", "tokens", "preemptions", "why",
    ]  # fmt: skip
    assert first.split() == [ONE[:17], "agent", "acme", "running", "-", "0:01:23", "7/400", "0"]
    assert second.split()[:8] == [
        TWO[:17], "batch", "umbrella", "waiting", "1", "0:00:01", "1/9", "2",
    ]  # fmt: skip
    assert second.endswith("the engine is full")
    assert server.asked == [("demo", Operation(control.REQUESTS))]


def test_a_list_can_be_of_a_class_or_a_tenant(conch):
    assert [item["id"] for item in conch("list", "--json")] == [ONE, TWO]
    assert [item["id"] for item in conch("list", "--class", "batch", "--json")] == [TWO]
    assert [item["id"] for item in conch("list", "--tenant", "acme", "--json")] == [ONE]
    assert conch("list", "--class", "batch", "--tenant", "acme", "--json") == []
    # The start of an id that is shown is good among all requests, not only those shown.
    assert ONE[:17] in conch("list", "--tenant", "acme")


def test_one_is_shown_with_all_its_fields(conch):
    text = conch("show", ONE[:17])
    assert f"{ONE}\n" in text
    assert [line.split()[0] for line in text.splitlines()] == list(ITEM.__slots__)
    assert "83.3" in text
    (shown,) = conch("show", ONE[:17], "--json")
    assert shown["age_s"] == 83.26


@pytest.mark.parametrize(
    ("command", "op"),
    [("pause", control.PAUSE), ("resume", control.RESUME), ("cancel", control.CANCEL)],
)
def test_an_operation_is_on_the_whole_id(conch, server, command, op):
    assert ONE[:17] in conch(command, ONE[:17], "--model", "large")
    assert server.asked[-1] == ("large", Operation(op, id=ONE))
    (done,) = conch(command, ONE, "--json")
    assert done["id"] == ONE


@pytest.mark.parametrize(
    ("command", "op"), [("pause", control.PAUSE_CLASS), ("resume", control.RESUME_CLASS)]
)
def test_a_class_is_paused_and_resumed_as_one(conch, server, command, op):
    assert conch(command, "--class", "agent", "--json")["paused_classes"] == ["agent"]
    assert server.asked == [("demo", Operation(op, class_name="agent"))]


def test_the_queue_is_shown_by_class_with_what_was_refused(conch):
    lines = [line.split() for line in conch("stats").splitlines()]
    assert ["used_tokens", "410"] in lines
    assert ["drain_per_s", "-"] in lines
    assert ["class", "waiting", "running", "paused"] in lines
    assert ["agent", "0", "1", "yes"] in lines
    assert ["batch", "1", "0", "no"] in lines
    assert ["queue_full", "3"] in lines
    assert conch("stats", "--json")["refusals"] == {"queue_full": 3}


def test_what_cannot_be_is_one_line(conch, server):
    for arguments, says in (
        (("pause", "req_3f9a"), f"error: 'req_3f9a' could be any of {ONE[:17]}, {TWO[:17]};"),
        (("cancel", "job"), "error: no request 'job' waits or runs"),
        (("pause", TWO), f"error: request '{TWO}' is paused already"),
    ):
        line = conch(*arguments, code=1)
        assert line.startswith(says)
        assert len(line.splitlines()) == 1
    server.inputs = ("text_input",)
    assert "takes no operations" in conch("list", code=1)


def test_what_contradicts_itself_is_a_wrong_use(conch, server):
    for arguments in (
        ("pause",),
        ("resume", ONE, "--class", "agent"),
        ("pause", "--class", "agents"),
        ("list", "--class", "agents"),
        ("list", "--watch", "--json"),
    ):
        conch(*arguments, code=2)
    assert server.asked == []


def test_a_watched_list_is_asked_for_again_until_it_is_interrupted(environment, server):
    command = [CONCH, "requests", "list", "--watch"]
    watching = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )

    def answered(operation: Operation) -> bytes:
        if len(server.asked) == 3:
            watching.send_signal(signal.SIGINT)
        return answer(operation)

    server.answer = answered
    shown, _ = watching.communicate(timeout=30)
    assert (watching.returncode, shown.count(ONE[:17])) == (0, 1)
