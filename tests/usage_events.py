"""Usage events for tests, and what a database has of them."""

import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from store_servers import Database as EmptyDatabase

from control_plane.migrations import migrate
from control_plane.store.database import Database, connect
from control_plane.store.edit import begin
from serving.contract.policy import Document
from serving.contract.usage import Status, UsageEvent

BEGAN_AT = 1_750_000_000.5  # 2025-06-15 15:06:40 UTC
SUMS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost_nusd")


def an_event(**given: Any) -> UsageEvent:
    fields = {
        "id": uuid.uuid4().hex,
        "request_id": "req-1",
        "began_at": BEGAN_AT,
        "tenant": "acme",
        "project": "acme/web",
        "principal": "key:aaaaaaaaaa",
        "endpoint": "chat.completions",
        "model": "demo",
        "status": Status.OK,
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 5,
        "cost_nusd": 700,
        "ttft_ms": 12.5,
        "latency_ms": 90.25,
    }
    return UsageEvent(**fields | given)


def any_events(count: int, seed: int = 0) -> list[UsageEvent]:
    """Events of some tenants, models and statuses, over two hours."""
    draw = random.Random(seed)
    return [
        an_event(
            began_at=BEGAN_AT + draw.random() * 7200,
            tenant=(tenant := draw.choice(("acme", "globex", "initech"))),
            project=f"{tenant}/{draw.choice(('web', 'batch'))}",
            principal=draw.choice(("key:aaaaaaaaaa", "key:bbbbbbbbbb", "user:u1")),
            model=draw.choice(("demo", "other")),
            adapter=draw.choice((None, "polite")),
            status=draw.choice(list(Status)),
            user=f"user-{draw.randrange(50)}",
            session=f"session-{draw.randrange(500)}",
            prompt_tokens=draw.randrange(1000),
            completion_tokens=draw.randrange(1000),
            cost_nusd=draw.randrange(10**9),
        )
        for _ in range(count)
    ]


@asynccontextmanager
async def migrated(database: EmptyDatabase) -> AsyncIterator[Database]:
    """The database with all tables."""
    async with connect(database.settings()) as connected:
        await migrate(connected.engine)
        yield connected


async def put_policy(database: Database, *documents: Document) -> None:
    """As an operator would have it."""
    async with database.session() as session:
        edit = await begin(session, "key:operator")
        for document in documents:
            await edit.put(document, action="create")


def rows(database: EmptyDatabase, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(database.url, password=database.password, row_factory=dict_row) as found:
        return found.execute(query).fetchall()


def sums(database: EmptyDatabase, granularity: str) -> dict[str, int]:
    """The roll-ups of one granularity, all together."""
    names = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in SUMS)
    requests = "coalesce(sum(ok + cancelled + failed + refused + lost), 0)::bigint AS requests"
    where = f"WHERE granularity = '{granularity}'"
    return rows(database, f"SELECT {requests}, {names} FROM usage_rollups {where}")[0]


def sums_of(events: list[UsageEvent]) -> dict[str, int]:
    totals = {name: sum(getattr(event, name) for event in events) for name in SUMS}
    return {"requests": len(events), **totals}
