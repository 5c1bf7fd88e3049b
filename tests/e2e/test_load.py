"""The load test against the real stack, as people run it: a process, since gevent patches its."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN_S = 5
STARTED_AND_STOPPED_S = 60


def locust(stack: Any, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    variables = {
        "OPENAI_BASE_URL": stack.base_url,
        "OPENAI_API_KEY": stack.api_key,
        "CONCH_MODEL": stack.model,
    }
    return subprocess.run(
        [sys.executable, "-m", "locust", "--headless", "--only-summary", *arguments],
        cwd=ROOT,
        env=os.environ | variables | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S + STARTED_AND_STOPPED_S,
    )


def rows_of(prefix: Path) -> dict[tuple[str, str], dict[str, str]]:
    with prefix.with_name(f"{prefix.name}_stats.csv").open(newline="") as file:
        return {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}


def bounds(*, users: int, run_s: int) -> tuple[str, ...]:
    return ("--users", f"{users}", "--spawn-rate", f"{users}", "--run-time", f"{run_s}s")


def test_users_have_rows_for_first_and_further_tokens(stack: Any, tmp_path: Path) -> None:
    table = ("--csv", str(tmp_path / "load"))
    done = locust(stack, "-f", "loadtests/locustfile.py", *bounds(users=4, run_s=RUN_S), *table)
    assert done.returncode == 0, done.stderr + done.stdout
    rows = rows_of(tmp_path / "load")
    for row in (("POST", "chat"), ("TTFT", "chat"), ("ITL", "chat"), ("POST", "completion")):
        assert int(rows[row]["Request Count"]) > 0
    assert {row["Failure Count"] for row in rows.values()} == {"0"}


def test_the_shape_is_used_when_it_is_asked_for(stack: Any) -> None:
    files = "loadtests/locustfile.py,loadtests/shapes.py"
    done = locust(stack, "-f", files, *bounds(users=3, run_s=3), "ChatUser")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Shape test completed" in done.stderr


def test_a_refusal_is_a_failure_with_its_code(stack: Any) -> None:
    run = ("-f", "loadtests/locustfile.py", *bounds(users=1, run_s=1), "ChatUser")
    done = locust(stack, *run, CONCH_MODEL="none")
    assert done.returncode == 1
    assert "HTTP 404: model_not_found" in done.stdout + done.stderr


def test_load_for_another_machine_does_not_start(stack: Any) -> None:
    run = ("-f", "loadtests/locustfile.py", *bounds(users=1, run_s=1))
    done = locust(stack, *run, "--host", "http://192.0.2.1/v1")
    assert done.returncode == 1
    assert "error: 192.0.2.1 is not this machine" in done.stderr
