"""The tables of usage: events, their sums over time, what could not be read, and stored texts.

`usage_events` is one table, not partitioned: that a request counts once rests on its id being
unique, and PostgreSQL has no unique index over partitions that leaves the partition key out. What
partitions would save, dropping old ones whole, is no use where every project has its own retention.
Reports read `usage_rollups`, so that the events have two indexes beside the primary key.
"""

from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    TypeDecorator,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from control_plane.store.tables import UnixTime, metadata
from serving.contract.guardrails import Verdict, verdicts_of


class Verdicts(TypeDecorator[tuple[Verdict, ...]]):
    """What the guardrails came to: `jsonb` in PostgreSQL, NULL where that is nothing."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(
        self,
        value: tuple[Verdict, ...] | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> list[dict[str, Any]] | None:
        return [_told(verdict) for verdict in value or ()] or None

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Verdict, ...]:  # noqa: ARG002
        return verdicts_of(value)


def _told(verdict: Verdict) -> dict[str, Any]:
    return {name: said for name, said in asdict(verdict).items() if said is not None}


usage_events = Table(
    "usage_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("began_at", UnixTime, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("adapter", Text),
    Column("route", Text),
    Column("user", Text),
    Column("session", Text),
    Column("prompt_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("reasoning_tokens", Integer, nullable=False),
    Column("cost_nusd", BigInteger, nullable=False),
    Column("ttft_ms", Float),
    Column("latency_ms", Float),
    Column("verdicts", Verdicts),
    Column("cache", Text),
    Index(None, "tenant", "began_at"),
    Index(None, "began_at"),
)


def _sum(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


# The dimensions are those that people set up, so there are few of each. `user` and `session` are
# whatever clients send: they stay with the events.
usage_rollups = Table(
    "usage_rollups",
    metadata,
    Column("granularity", Text, primary_key=True),
    Column("bucket", UnixTime, primary_key=True),
    Column("tenant", Text, primary_key=True),
    Column("project", Text, primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("adapter", Text, primary_key=True),  # "": none; a primary key takes no NULL
    _sum("ok"),
    _sum("cancelled"),
    _sum("failed"),
    _sum("refused"),
    _sum("lost"),
    _sum("prompt_tokens"),
    _sum("cached_tokens"),
    _sum("completion_tokens"),
    _sum("reasoning_tokens"),
    _sum("cost_nusd"),
    _sum("ttft_us"),
    _sum("ttft_count"),
    _sum("latency_us"),
    _sum("latency_count"),
    # Rows are updated again and again while their time goes on: room for that in the same page.
    postgresql_with={"fillfactor": "70"},
)

usage_dead_letters = Table(
    "usage_dead_letters",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("entry_id", Text, primary_key=True),
    Column("at", UnixTime, nullable=False, server_default=func.now()),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)

# Texts are kept as the JSON they came as: jsonb cannot hold every JSON string.
contents = Table(
    "contents",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("began_at", UnixTime, nullable=False),
    Column("prompt", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("is_redacted", Boolean, nullable=False),
    Column("expires_at", UnixTime, nullable=False),
    Index(None, "expires_at"),
    Index(None, "project", "began_at"),
)
