"""Reports of usage over HTTP, on the real PostgreSQL, as OpenAI's own client reads them."""

import csv
import io
import json

import httpx2
import openai
import pytest
from sqlalchemy import text
from usage_events import an_event, any_events, sums_of

from control_plane.store import usage_contents, usage_pages
from control_plane.store.usage_contents import StoredContent
from control_plane.usage.ledger import book
from serving.contract.guardrails import Action, Stage, Verdict
from serving.contract.usage import Status

DAY_S = 86400
MIDNIGHT = 1_749_945_600  # 2025-06-15 00:00 UTC
MORNING, EVENING = MIDNIGHT + 9 * 3600, MIDNIGHT + 20 * 3600
TABLES = ("usage_events", "usage_rollups", "contents")


@pytest.fixture
async def booked(control_database):
    """Books events into tables that are empty at first."""
    async with control_database.session() as session:
        for table in TABLES:
            await session.execute(text(f"DELETE FROM {table}"))

    async def put(*events):
        async with control_database.session() as session:
            await book(session, events)

    return put


@pytest.fixture
async def openai_client(owner, owner_key):
    """OpenAI's client with an admin key, on the control plane."""
    async with openai.AsyncOpenAI(
        base_url="http://control/v1",
        api_key="unused",
        admin_api_key=owner_key,
        http_client=httpx2.AsyncClient(transport=httpx2.ASGITransport(owner._transport.app)),
    ) as client:
        yield client.admin.organization.usage


async def test_openais_client_reads_usage_by_bucket_and_group(openai_client, booked):
    await booked(
        an_event(began_at=MORNING, principal="user:ann", prompt_tokens=10, cached_tokens=4),
        an_event(began_at=MORNING + 1, principal="user:ann", prompt_tokens=20, cached_tokens=0),
        an_event(began_at=EVENING, principal="key:kkkkkkkkkk", model="other"),
        an_event(began_at=EVENING, status=Status.REFUSED, prompt_tokens=0, completion_tokens=0),
    )
    page = await openai_client.completions(
        start_time=MIDNIGHT + 5,
        end_time=MIDNIGHT + DAY_S,
        bucket_width="1h",
        group_by=["user_id", "model", "project_id", "api_key_id", "batch"],
    )
    assert (page.has_more, page.next_page, len(page.data)) == (False, None, 24)
    (morning,), (evening,) = page.data[9].results, page.data[20].results
    assert page.data[9].start_time == MORNING
    assert page.data[9].end_time == MORNING + 3600
    assert [bucket.results for bucket in page.data[:9]] == [[]] * 9
    assert (morning.user_id, morning.api_key_id, morning.model) == ("ann", None, "demo")
    assert (morning.num_model_requests, morning.input_tokens, morning.output_tokens) == (2, 30, 10)
    assert (morning.input_cached_tokens, morning.input_uncached_tokens) == (4, 26)
    assert (morning.project_id, morning.batch) == ("acme/web", False)
    assert (evening.user_id, evening.api_key_id, evening.model) == (None, "kkkkkkkkkk", "other")


async def test_openais_client_pages_through_all_of_it(openai_client, booked):
    events = any_events(60)
    await booked(*events)
    asked = {"start_time": MORNING, "end_time": EVENING, "bucket_width": "1h", "limit": 3}
    page = await openai_client.completions(**asked)
    pages = [page]
    while page.has_more:
        page = await openai_client.completions(**asked, page=page.next_page)
        pages.append(page)
    buckets = [bucket for page in pages for bucket in page.data]
    assert [b.start_time for b in buckets] == list(range(MORNING, EVENING, 3600))
    results = [result for bucket in buckets for result in bucket.results]
    assert sum(result.input_tokens for result in results) == sums_of(events)["prompt_tokens"]


async def test_openais_client_reads_costs(openai_client, booked):
    await booked(
        an_event(began_at=MORNING, cost_nusd=1_500_000_000),
        an_event(began_at=EVENING, cost_nusd=250_000_000, adapter="polite"),
        an_event(began_at=EVENING, cost_nusd=4, tenant="other", project="other/web"),
    )
    costs = await openai_client.costs(
        start_time=MIDNIGHT, end_time=MIDNIGHT + 1, group_by=["line_item", "project_id"]
    )
    (day,) = costs.data
    found = {(r.project_id, r.line_item): r.amount.value for r in day.results}
    assert found == {
        ("acme/web", "demo"): 1.5,
        ("acme/web", "demo, polite"): 0.25,
        ("other/web", "demo"): 4e-9,
    }
    assert {result.amount.currency for result in day.results} == {"usd"}


@pytest.mark.parametrize(
    ("asked", "requests"),
    [
        ({"project_ids": ["acme/web"]}, 2),
        ({"project_ids[]": ["acme/web", "other/web"]}, 3),
        ({"models": "other,none"}, 1),
        ({"user_ids": "ann"}, 1),
        ({"api_key_ids": "aaaaaaaaaa", "user_ids": "ann"}, 0),
        ({"batch": "true"}, 0),
        ({"batch": "false"}, 3),
    ],
)
async def test_usage_is_filtered(owner, booked, asked, requests):
    await booked(
        an_event(began_at=MORNING),
        an_event(began_at=MORNING, model="other"),
        an_event(began_at=MORNING, tenant="other", project="other/web", principal="user:ann"),
    )
    params = {"start_time": MIDNIGHT, "end_time": MIDNIGHT + 1, **asked}
    reply = await owner.get("/v1/organization/usage/completions", params=params)
    (bucket,) = reply.json()["data"]
    assert sum(result["num_model_requests"] for result in bucket["results"]) == requests


@pytest.mark.parametrize(
    ("path", "asked", "param"),
    [
        ("organization/usage/completions", {}, "start_time"),
        ("organization/usage/completions", {"start_time": -1}, "start_time"),
        ("organization/usage/completions", {"start_time": 1, "limit": 32}, "limit"),
        ("organization/usage/completions", {"start_time": 1, "bucket_width": "2d"}, "bucket_width"),
        ("organization/usage/completions", {"start_time": 1, "group_by": "x"}, "group_by[0]"),
        ("organization/usage/completions", {"start_time": 1, "page": "x"}, "page"),
        ("organization/usage/completions", {"start_time": 1, "models": "\0"}, "models[0]"),
        ("organization/costs", {"start_time": 1, "bucket_width": "1h"}, "bucket_width"),
        ("organization/costs", {"start_time": 1, "line_items": "x"}, "line_items"),
        ("usage/summary", {"since": "yesterday"}, "since"),
        ("usage/summary", {"by": "password"}, "by[0]"),
        ("usage/export.csv", {"until": "9" * 30}, "until"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(owner, booked, path, asked, param):
    reply = await owner.get(f"/v1/{path}", params=asked)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)


async def test_a_summary_names_the_costliest_groups(owner, booked):
    await booked(
        an_event(began_at=MORNING, user="ann", session="s1", cost_nusd=10**9),
        an_event(began_at=MORNING, user="ann", session="s1", latency_ms=109.75),
        an_event(began_at=EVENING, user="bob", status=Status.REFUSED, cost_nusd=0),
        an_event(began_at=EVENING, status=Status.LOST, adapter="polite", cost_nusd=5),
    )
    span = {"since": "2025-06-15", "until": "2025-06-16"}
    reply = (await owner.get("/v1/usage/summary", params={"by": "user,session", **span})).json()
    assert [group["by"] for group in reply["groups"]] == [
        {"user": "ann", "session": "s1"},
        {"user": None, "session": None},
        {"user": "bob", "session": None},
    ]
    ann, nobody, bob = reply["groups"]
    assert (ann["requests"], ann["prompt_tokens"], ann["cost_usd"]) == (2, 20, 1.0000007)
    assert (ann["latency_ms"], ann["ttft_ms"]) == (100, 12.5)
    assert (nobody["lost"], bob["refused"]) == (1, 1)
    assert (reply["totals"]["requests"], reply["width_s"]) == (4, DAY_S)
    by_model = await owner.get(
        "/v1/usage/summary", params={"by": ["model", "adapter"], "limit": 1, **span}
    )
    reply = by_model.json()
    assert (reply["has_more"], [group["requests"] for group in reply["groups"]]) == (True, [3])
    assert sum(point["requests"] for point in reply["series"]) == 4


async def test_the_export_is_csv_that_spreadsheets_take_for_text(owner, booked, monkeypatch):
    monkeypatch.setattr(usage_pages, "PAGE", 3)
    events = [
        an_event(began_at=MORNING + n, user=user)
        for n, user in enumerate(('=cmd|"x"', "+1", "-1", "@a", " =1", "a,b\nc", "ann"))
    ]
    await booked(*events)
    reply = await owner.get("/v1/usage/export.csv", params={"since": str(MIDNIGHT)})
    assert reply.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.text, newline="")))
    assert [row["id"] for row in rows] == [event.id for event in events]
    assert [row["user"] for row in rows] == [
        *('\'=cmd|"x"', "'+1", "'-1", "'@a", "' =1", "a,b\nc", "ann")
    ]
    assert (rows[0]["began_at"], rows[0]["cost_nusd"]) == (
        "2025-06-15T09:00:00.000000+00:00",
        "700",
    )


async def test_the_export_has_verdicts_as_json(owner, booked):
    verdict = Verdict("secrets", Stage.INPUT, Action.FLAG, what="api_key", place=1)
    await booked(an_event(began_at=MORNING, verdicts=(verdict,)), an_event(began_at=MORNING + 1))
    reply = await owner.get("/v1/usage/export.csv", params={"since": str(MIDNIGHT)})
    first, second = csv.DictReader(io.StringIO(reply.text, newline=""))
    (told,) = json.loads(first["verdicts"])
    assert (told["check"], told["what"], told["place"]) == ("secrets", "api_key", 1)
    assert second["verdicts"] == ""


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("bound", "seen"),
    [
        ({"role": "viewer"}, {"acme/web", "acme/lab", "other/web"}),
        ({"role": "viewer", "tenant": "acme"}, {"acme/web", "acme/lab"}),
        ({"role": "viewer", "tenant": "acme", "project": "acme/web"}, {"acme/web"}),
    ],
)
async def test_nobody_sees_the_usage_of_others(client_with, booked, bound, seen):
    for project in ("acme/web", "acme/lab", "other/web"):
        tenant = project.partition("/")[0]
        await booked(an_event(began_at=MORNING, tenant=tenant, project=project))
    client = await client_with(**bound)
    start = {"start_time": MIDNIGHT, "end_time": MIDNIGHT + 1, "group_by": "project_id"}
    for path in ("usage/completions", "costs"):
        (bucket,) = (await client.get(f"/v1/organization/{path}", params=start)).json()["data"]
        assert {result["project_id"] for result in bucket["results"]} == seen
        asked = await client.get(
            f"/v1/organization/{path}", params={**start, "project_ids": "other/web"}
        )
        found = {result["project_id"] for result in asked.json()["data"][0]["results"]}
        assert found == seen & {"other/web"}
    for by in ("project", "project,user"):
        reply = await client.get("/v1/usage/summary", params={"by": by, "since": str(MIDNIGHT)})
        assert {group["by"]["project"] for group in reply.json()["groups"]} == seen
    lines = (await client.get("/v1/usage/export.csv", params={"since": str(MIDNIGHT)})).text
    assert {row["project"] for row in csv.DictReader(io.StringIO(lines))} == seen


@pytest.mark.usefixtures("acme", "booked")
async def test_texts_are_for_those_who_may_read_them(owner, client_with, control_database):
    stored = [
        StoredContent(id_, tenant, f"{tenant}/web", MORNING, b'[{"a": 1}]', b'"hi"', True, 4e9)
        for id_, tenant in (("e1", "acme"), ("e2", "other"))
    ]
    async with control_database.session() as session:
        await usage_contents.add(session, stored)
    admin = await client_with(role="admin", tenant="acme")
    developer = await client_with(role="developer", tenant="acme")
    reply = (await admin.get("/v1/contents/e1")).json()
    assert (reply["prompt"], reply["answer"], reply["is_redacted"]) == ([{"a": 1}], "hi", True)
    assert (await developer.get("/v1/contents/e1")).status_code == 403
    for id_ in ("e2", "e3"):
        assert (await admin.get(f"/v1/contents/{id_}")).status_code == 404
        assert (await admin.delete(f"/v1/contents/{id_}")).status_code == 404
    assert (await admin.delete("/v1/contents/e1")).json()["deleted"] is True
    assert (await admin.get("/v1/contents/e1")).status_code == 404
    entries = (await owner.get("/v1/audit", params={"target": "e1"})).json()["data"]
    assert [entry["action"] for entry in entries] == ["remove", "read"]
    assert (await owner.get("/v1/contents/e2")).status_code == 200
