"""Which projects have a response cache, and which requests it answered."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("projects", "usage_events")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("cache", sa.Text))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "cache")
