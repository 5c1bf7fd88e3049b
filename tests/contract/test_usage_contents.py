"""Prompts and answers from the stream to the table: only what each project has turned on."""

import time

import orjson
import pytest
from prometheus_client import CollectorRegistry
from usage_events import an_event, migrated, put_policy, rows

from control_plane.policy_copy import PolicyCopy
from control_plane.usage.consumer import Consumer
from control_plane.usage.contents import ContentStore, stored_content
from control_plane.usage.ledger import book
from control_plane.usage.metrics import UsageMetrics
from control_plane.usage.settings import UsageSettings
from control_plane.usage.worker import UsageWorker
from serving.adapters import content_stream
from serving.adapters import redis as redis_adapter
from serving.adapters.content_stream import ContentStream
from serving.adapters.redis_wire import Wire
from serving.adapters.usage_stream import Entry
from serving.contract.content import Content
from serving.contract.policy import LogPrivacy, Project, Settings, Tenant
from serving.contract.usage import Status

MAIL = b'[{"role": "user", "content": "I am jo@example.org"}]'


def content(project, **given):
    tenant, _, name = project.partition("/")
    fields = {
        "event_id": name,
        "began_at": time.time(),
        "prompt": MAIL,
        "answer": b'"call +49 30 9018200"',
    }
    return Content(tenant=tenant, project=project, **fields | given)


def projects(**privacy):
    return [
        Tenant("acme", "Acme"),
        *(Project(f"acme/{name}", "acme", name, log_privacy=p) for name, p in privacy.items()),
    ]


@pytest.fixture
async def redis(redis_server):
    redis_server.flush()
    async with redis_adapter.connect(redis_server.settings()) as client:
        yield client


async def test_texts_are_kept_as_each_project_wants(redis, database):
    documents = projects(
        nothing=LogPrivacy.NONE,
        sizes=LogPrivacy.METADATA,
        masked=LogPrivacy.REDACTED,
        whole=LogPrivacy.FULL,
        unsaid=None,
    )
    sent = [content(project.id) for project in documents[1:]] + [content("acme/unknown")]
    old = content("acme/whole", event_id="old", began_at=time.time() - 31 * 86400)
    async with migrated(database) as connected:
        await put_policy(connected, *documents)
        await Wire(redis).send([content_stream.put(each) for each in (*sent, sent[3], old)])
        await redis.xadd("conch:{s1}:contents", {"prompt": "no JSON"})
        store = ContentStore(connected, PolicyCopy(), UsageMetrics(CollectorRegistry()))
        stream = ContentStream(redis)
        await Consumer(stream, store.store, store.metrics, UsageSettings(), block_ms=20).step()
        assert await stream.lag() == 0
    masked, whole = rows(database, "SELECT * FROM contents ORDER BY event_id")
    assert (masked["event_id"], whole["event_id"]) == ("masked", "whole")
    assert (masked["is_redacted"], whole["is_redacted"]) == (True, False)
    assert orjson.loads(masked["prompt"]) == [{"role": "user", "content": "I am [email]"}]
    assert orjson.loads(masked["answer"]) == "call [phone]"
    assert bytes(whole["prompt"]) == MAIL
    assert (whole["expires_at"] - whole["began_at"]).days == Settings().retention_days


def test_texts_that_are_too_long_for_redis_are_not_sent():
    long = b'"' + b"x" * content_stream.MOST_BYTES + b'"'
    assert content_stream.put(content("acme/web", prompt=long)) is None


def test_what_nobody_can_have_sent_is_not_stored():
    deep = b"[" * 900 + b"]" * 900
    for odd in ({"prompt": deep}, {"began_at": float("nan")}, {"event_id": "a\0"}):
        given = content("acme/web", **odd)
        assert stored_content(given, LogPrivacy.REDACTED, 30) is None


async def test_events_of_a_project_without_logs_name_nobody(database):
    event = an_event(project="acme/none", user="ann", session="s", request_id="from-ann")
    async with migrated(database) as connected:
        await put_policy(connected, *projects(none=LogPrivacy.NONE))
        worker = UsageWorker(connected, PolicyCopy(), UsageMetrics(CollectorRegistry()))
        await worker.store([Entry("s1", "1-0", event, b"")])
        async with connected.session() as session:
            await book(session, [an_event(project="acme/web", user="bob", status=Status.FAILED)])
    names = "SELECT id, request_id, \"user\", session FROM usage_events WHERE project = 'acme/none'"
    assert rows(database, names) == [
        {"id": event.id, "request_id": event.id, "user": None, "session": None}
    ]
