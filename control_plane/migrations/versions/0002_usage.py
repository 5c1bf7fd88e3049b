"""Usage events, their sums over time, dead letters, and stored texts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLLUP_KEY = ("granularity", "bucket", "tenant", "project", "principal", "model", "adapter")
STATUSES = ("ok", "cancelled", "failed", "refused", "lost")
TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens")
TIMES = ("ttft_us", "ttft_count", "latency_us", "latency_count")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _events()
    _rollups()
    _dead_letters()
    _contents()


def downgrade() -> None:
    for table in ("contents", "usage_dead_letters", "usage_rollups", "usage_events"):
        op.drop_table(table)


def _events() -> None:
    op.create_table(
        "usage_events",
        _text("id"),
        _text("request_id"),
        _moment("began_at"),
        *(_text(name) for name in ("tenant", "project", "principal")),
        *(_text(name) for name in ("endpoint", "model", "status")),
        *(sa.Column(name, sa.Text) for name in ("reason", "adapter", "route", "user", "session")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in TOKENS),
        _sum("cost_nusd"),
        sa.Column("ttft_ms", sa.Float),
        sa.Column("latency_ms", sa.Float),
        sa.PrimaryKeyConstraint("id", name="pk_usage_events"),
    )
    op.create_index("ix_usage_events_tenant_began_at", "usage_events", ["tenant", "began_at"])
    op.create_index("ix_usage_events_began_at", "usage_events", ["began_at"])


def _rollups() -> None:
    op.create_table(
        "usage_rollups",
        *(_moment(name) if name == "bucket" else _text(name) for name in ROLLUP_KEY),
        *(_sum(name) for name in (*STATUSES, *TOKENS, "cost_nusd", *TIMES)),
        sa.PrimaryKeyConstraint(*ROLLUP_KEY, name="pk_usage_rollups"),
        postgresql_with={"fillfactor": "70"},
    )


def _dead_letters() -> None:
    op.create_table(
        "usage_dead_letters",
        _text("stream"),
        _text("entry_id"),
        sa.Column("at", MOMENT, nullable=False, server_default=sa.text("now()")),
        _text("reason"),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("stream", "entry_id", name="pk_usage_dead_letters"),
    )


def _contents() -> None:
    op.create_table(
        "contents",
        *(_text(name) for name in ("event_id", "tenant", "project")),
        _moment("began_at"),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("prompt", "answer")),
        sa.Column("is_redacted", sa.Boolean, nullable=False),
        _moment("expires_at"),
        sa.PrimaryKeyConstraint("event_id", name="pk_contents"),
    )
    op.create_index("ix_contents_expires_at", "contents", ["expires_at"])
    op.create_index("ix_contents_project_began_at", "contents", ["project", "began_at"])


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _sum(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=False)
