"""The control plane as a process of its own, on the real stores."""

import signal
import subprocess
import time

import pytest
from control_process import COMMAND, PATIENCE_S, environment_of, running

from serving.adapters import redis
from serving.adapters.policy_feed import PolicyFeed
from serving.contract.policy import Key, Tenant
from serving.identity.directory import Directory


@pytest.fixture
def environment(database, redis_server, tmp_path):
    return environment_of(database, redis_server, tmp_path)


async def published(redis_server):
    async with redis.connect(redis_server.settings()) as client:
        feed = PolicyFeed(client)
        snapshot = await feed.snapshot()
        if snapshot is None:
            return None
        directory = Directory.of(snapshot)
        while deltas := await feed.deltas_after(directory.version):
            for delta in deltas:
                directory.apply(delta)
        return directory


async def test_it_starts_publishes_what_is_written_and_ends_when_asked(environment, redis_server):
    with running(environment) as (process, client):
        assert client.post("/v1/tenants", json={"id": "acme", "name": "Acme"}).status_code == 201
        deadline = time.monotonic() + 1.0
        while (directory := await published(redis_server)) is None or not directory.tenant("acme"):
            assert time.monotonic() < deadline, "it took longer than a second"
        assert {tenant.id for tenant in directory.each(Tenant)} == {"default", "acme"}
        assert len(directory.each(Key)) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
        log = process.stdout.read()
    assert client.headers["authorization"].removeprefix("Bearer ") not in log
    assert environment["DATABASE_PASSWORD"] not in log


async def test_it_goes_on_after_the_database_hung_up(environment, database):
    with running(environment) as (process, client), database.connect() as admin:
        for name in ("a", "b"):
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert client.get("/v1/tenants").status_code == 200
            reply = client.post("/v1/tenants", json={"id": name, "name": name})
            assert reply.status_code == 201
        assert process.poll() is None


def test_what_keeps_it_from_starting_is_one_line(environment):
    wrong = {"CONTROL_START_TIMEOUT_S": "0.1", "DATABASE_PASSWORD": "wrong"}
    done = subprocess.run(
        COMMAND, env=environment | wrong, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: PostgreSQL does not answer: ")
    assert "wrong" not in line
