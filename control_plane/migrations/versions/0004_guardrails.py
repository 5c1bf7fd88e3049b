"""Guardrail policies, who is checked by which, and what they came to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CHOOSERS = ("tenants", "projects")


def upgrade() -> None:
    op.create_table(
        "guardrails",
        _text("id"),
        sa.Column("checks", JSONB, nullable=False),
        _text("hold"),
        _text("on_failure"),
        sa.Column("budget_ms", sa.Integer, nullable=False),
        *map(_flag, ("is_spotlit", "is_reversible", "is_explained")),
        sa.Column("tenant", sa.Text),
        *map(_stamp, ("created_at", "updated_at")),
        sa.PrimaryKeyConstraint("id", name="pk_guardrails"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_guardrails_tenant"),
    )
    op.create_index("ix_guardrails_tenant", "guardrails", ["tenant"])
    for table in CHOOSERS:
        op.add_column(table, sa.Column("guardrails", sa.Text))
    op.add_column("usage_events", sa.Column("verdicts", JSONB))


def downgrade() -> None:
    op.drop_column("usage_events", "verdicts")
    for table in CHOOSERS:
        op.drop_column(table, "guardrails")
    op.drop_table("guardrails")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _stamp(name: str) -> sa.Column[object]:
    moment = sa.DateTime(timezone=True)
    return sa.Column(name, moment, nullable=False, server_default=sa.text("now()"))
