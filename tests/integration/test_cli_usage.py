"""`conch usage` against a control plane process: from the gateway's last word to the terminal."""

import asyncio
import csv
import json
import time
from dataclasses import replace

import pytest
from control_process import environment_of, running, url_of
from typer.testing import CliRunner
from usage_events import an_event

from serving.adapters import redis as redis_adapter
from serving.adapters.content_stream import put
from serving.adapters.quotas import Quotas
from serving.adapters.redis_wire import Wire
from serving.cli.main import app
from serving.contract.content import Content
from serving.contract.policy import FREE
from serving.contract.quota import Reservation

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def environment(module_database, redis_server, tmp_path_factory):
    environment = environment_of(module_database, redis_server, tmp_path_factory.mktemp("usage"))
    with running(environment | {"CONTROL_USAGE_REAP_EVERY_S": "0.2"}) as (_, client):
        yield environment, client


@pytest.fixture
def conch(environment, tmp_path, monkeypatch):
    """Runs `conch usage`; its output, and with `--json` what that says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONCH_CONTROL_URL", url_of(environment[0]))
    monkeypatch.setenv("CONCH_ADMIN_KEY_FILE", environment[0]["CONTROL_ADMIN_KEY_FILE"])

    def run(*arguments, code=0):
        result = CliRunner().invoke(app, ["usage", *arguments])
        assert result.exit_code == code, result.output
        return json.loads(result.output) if "--json" in arguments else result.output

    return run


async def _until(is_there):
    deadline = time.monotonic() + PATIENCE_S
    while not is_there():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_every_request_is_told_of_also_that_of_a_gateway_that_died(
    conch, environment, redis_server, tmp_path
):
    now, (_, api) = time.time(), environment
    project = {"tenant": "default", "project": "default/default", "began_at": now}
    settled = an_event(**project, user="=ann", session="s1", cost_nusd=1_500_000_000)
    dying = an_event(**project, id="dying", user="bob", status="lost", prompt_tokens=7)
    told = api.patch("/v1/projects/default/default", json={"log_privacy": "redacted"})
    assert told.status_code == 200, told.text
    async with redis_adapter.connect(redis_server.settings()) as redis:
        gateway = Quotas(redis, lease_s=0.05)
        for event in (settled, dying):
            await gateway.reserve(Reservation(event, (), 10, 5, FREE))
        assert await gateway.settle(replace(settled, completion_tokens=6))
        texts = Content(settled.id, *("default", "default/default", now), b'"a@b.org"', b'"hi"')
        await Wire(redis).send([put(texts)])
        summary = ("--by", "user,session", "--since", "1h", "--json")
        await _until(lambda: conch(*summary)["totals"]["requests"] == 2)
    groups = {group["by"]["user"]: group for group in conch(*summary)["groups"]}
    assert (groups["=ann"]["completion_tokens"], groups["=ann"]["cost_usd"]) == (6, 1.5)
    assert (groups["bob"]["lost"], groups["bob"]["prompt_tokens"]) == (1, 7)

    shown = conch("--by", "model,user", "--since", "1h")
    assert "$1.50" in shown
    assert "=ann" in shown
    assert conch("--since", "1h", "--csv", "usage.csv") == ""
    with (tmp_path / "usage.csv").open(newline="") as file:
        assert {row["user"] for row in csv.DictReader(file)} == {"'=ann", "bob"}
    assert "is no time" in conch("--since", "soon", "--csv", "none.csv", code=1)
    assert not (tmp_path / "none.csv").exists()

    await _until(lambda: api.get(f"/v1/contents/{settled.id}").status_code == 200)
    assert api.get(f"/v1/contents/{settled.id}").json()["prompt"] == "[email]"
    metrics = api.get("/metrics").text
    assert 'conch_control_usage_events_total{status="lost"} 1.0' in metrics
    assert "conch_control_usage_reaped_total 1.0" in metrics
