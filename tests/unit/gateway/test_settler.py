"""What waits to be stored is bounded, and what was used is never dropped for it."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway import settler as settler_module
from gateway.quota_metrics import QuotaMetrics
from gateway.settler import Settler
from gateway.spool import Spool, outcomes
from gateway.store_watch import StoreWatch
from serving.adapters.quotas import Quotas
from serving.adapters.redis import StoreUnavailable, connect
from serving.contract.usage import Status, UsageEvent
from serving.settings.stores import RedisSettings


def event(name: str, status: Status) -> UsageEvent:
    return UsageEvent(name, name, 1.0, "acme", "acme/web", "key:k1", "chat", "demo", status)


async def test_only_refused_requests_are_dropped_while_too_much_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settler_module, "MOST_WAITING", 1)
    metrics, spool, watch = QuotaMetrics(CollectorRegistry()), Spool(tmp_path), StoreWatch()
    watch.failed(StoreUnavailable("away"))
    async with connect(RedisSettings(url="redis://127.0.0.1:1")) as redis:
        settler = Settler(Quotas(redis, lease_s=30.0), spool, watch, metrics)
        for name, status in (("a", Status.OK), ("b", Status.REFUSED), ("c", Status.CANCELLED)):
            settler.end(event(name, status), None)
        assert await settler.drain(None)
    kept = await spool.taken()
    assert kept is not None
    ended, _ = outcomes(kept.lines())
    assert sorted(ended) == ["a", "c"]
    assert metrics.dropped.collect()[0].samples[0].value == 1
    kept.close()
    await spool.close()
