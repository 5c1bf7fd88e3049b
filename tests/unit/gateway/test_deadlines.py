"""How a request ended is one word: for its client, in the log and in its usage event."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.app import open_gate
from gateway.ask import Ask
from gateway.gate import Gate, Governance
from gateway.governor import open_governor
from gateway.metrics import Metrics
from gateway.pipeline import answer
from gateway.policy import Policy
from gateway.quota_metrics import QuotaMetrics
from gateway.settings import GatewaySettings
from gateway.spool import outcomes
from gateway.spool_file import SUFFIX, SpoolFile
from gateway.stages.auth import ALONE
from gateway.stages.remember import open_archive
from gateway.stages.route import Catalogue
from gateway.stages.tool_runs import open_tool_runs
from gateway.telemetry import Record
from serving.adapters.redis import connect
from serving.contract.calls import Call
from serving.contract.errors import ConchError, Expired
from serving.contract.policy import OnRedisDown, Project, Settings, Snapshot, Tenant, Version
from serving.contract.usage import Status, UsageEvent
from serving.identity.directory import Directory
from serving.identity.documents import change_of
from serving.identity.identify import Credentials
from serving.settings.stores import RedisSettings

DOCUMENTS = (
    Tenant("default", "Default"),
    Project("default/default", "default", "Default"),
    Settings(on_redis_down=OnRedisDown.ALLOW),
)


class Waiting:
    """A client that has asked and stays."""

    credentials = Credentials(b"Bearer sk-unit", None)

    async def read(self) -> Ask:
        return Ask("demo", (Call(text="hello"),))

    @asynccontextmanager
    async def staying(self) -> AsyncIterator[None]:
        yield


async def never() -> tuple[str, ...]:
    await asyncio.Event().wait()
    return ()


@asynccontextmanager
async def opened(spool: Path, metrics: Metrics) -> AsyncIterator[Gate]:
    """A governed gate whose Redis is away, before a Triton that does not answer."""
    settings = GatewaySettings(governed=False, api_key="sk-unit", request_timeout_s=0.05)
    policy = Policy()
    policy.take(Directory.of(Snapshot(Version("e", 1), tuple(map(change_of, DOCUMENTS)))))
    async with (
        open_gate(settings, metrics) as gate,
        connect(RedisSettings(url="redis://127.0.0.1:1")) as redis,
        open_archive(redis, timeout_s=0.2) as archive,
        open_tool_runs(redis, timeout_s=0.2) as runs,
        open_governor(redis, spool, QuotaMetrics(CollectorRegistry()), lease_s=30.0) as governor,
    ):
        governance = Governance(policy, governor, archive, runs, b"k")
        yield Gate(settings, gate.gatekeeper, Catalogue(never), gate.triton, gate.load, governance)


def spooled(folder: Path) -> list[UsageEvent]:
    files = [SpoolFile.adopt(path) for path in folder.glob(f"*{SUFFIX}")]
    lines = [line for file in files if file is not None for line in file.lines()]
    for file in files:
        if file is not None:
            file.close()
    return list(outcomes(lines)[0].values())


async def test_a_request_that_took_too_long_has_failed_as_expired(tmp_path: Path) -> None:
    metrics = Metrics()
    record = Record(metrics, "chat", "r")

    async def ask(gate: Gate) -> ConchError:
        with pytest.raises(Expired) as caught:
            async with answer(Waiting(), record, gate):
                pass
        return caught.value

    async with opened(tmp_path, metrics) as gate:
        error = await ask(gate)
    (event,) = spooled(tmp_path)
    assert (event.principal, event.status, event.reason) == (ALONE.id, Status.FAILED, error.code)
