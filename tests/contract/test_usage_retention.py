"""What is deleted after its time, on the real PostgreSQL."""

import time

from prometheus_client import CollectorRegistry
from usage_events import an_event, migrated, put_policy, rows

from control_plane.policy_copy import PolicyCopy
from control_plane.store import usage, usage_contents, usage_retention
from control_plane.store.usage_contents import StoredContent
from control_plane.usage.ledger import book
from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.retention import Retention
from serving.contract.policy import Project, Settings, Tenant

DAY_S = 86400


def ids(database, table, name="id"):
    return {row[name] for row in rows(database, f"SELECT {name} FROM {table}")}


async def test_each_project_keeps_its_events_and_texts_for_its_own_time(database, monkeypatch):
    monkeypatch.setattr(usage_retention, "AT_ONCE", 3)
    now = time.time()
    days = {"acme/short": 5, "acme/none": 0, "acme/unsaid": None}
    events = [
        an_event(id=f"{project}-{age}-{n}", project=project, began_at=now - age * DAY_S)
        for project in days
        for age in (1, 6, 20, 40)
        for n in range(4)
    ]
    texts = [
        StoredContent(e.id, "acme", e.project, e.began_at, b"1", b"1", False, now + DAY_S)
        for e in events
    ]
    expired = StoredContent("expired", "acme", "acme/unsaid", now - 9, b"1", b"1", False, now - 1)
    async with migrated(database) as connected:
        await put_policy(
            connected,
            Tenant("acme", "Acme"),
            Settings(retention_days=30),
            *(Project(id_, "acme", "p", retention_days=kept) for id_, kept in days.items()),
        )
        async with connected.session() as session:
            await book(session, events)
            await usage_contents.add(session, [*texts, expired])
            await usage.add_dead_letters(session, [("usage:s1", "1-0", "odd", b"{}")])
        metrics = UsageMetrics(CollectorRegistry())
        await Retention(connected, PolicyCopy(), metrics).step()
    kept = {project: {1, 6, 20} for project in days}
    kept["acme/short"] = {1}
    kept["acme/none"] = {1}  # as long as it may come again
    assert ids(database, "usage_events") == {
        f"{project}-{age}-{n}" for project, ages in kept.items() for age in ages for n in range(4)
    }
    kept["acme/none"] = set()
    assert ids(database, "contents", "event_id") == {
        f"{project}-{age}-{n}" for project, ages in kept.items() for age in ages for n in range(4)
    }
    granularities = rows(database, "SELECT granularity, count(*) FROM usage_rollups GROUP BY 1")
    counts = {row["granularity"]: row["count"] for row in granularities}
    assert counts["day"] == counts["hour"] == 12
    assert counts["minute"] == 6  # those of the last two weeks
    assert len(ids(database, "usage_dead_letters", "reason")) == 1
    assert metrics.removed.labels("events")._value.get() == 28
