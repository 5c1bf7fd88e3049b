"""Identity documents, the audit log and the policy's change log."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAMES = ("scopes", "models", "adapters", "classes", "tools", "cidrs")
APPEND_ONLY = """
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
"""
REFUSED = """
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
"""


def upgrade() -> None:
    _identity()
    _audit_log()
    _change_log()


def downgrade() -> None:
    for table in ("policy_documents", "policy_changes", "policy_versions", "policy_epoch"):
        op.drop_table(table)
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION audit_log_is_append_only()")
    for table in ("models", "users", "issuers", "keys", "projects", "tenants"):
        op.drop_table(table)


def _identity() -> None:
    op.create_table(
        "tenants",
        _text("id"),
        _text("name"),
        sa.Column("is_active", sa.Boolean, nullable=False),
        _json("limits"),
        _json("model_limits"),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
    )
    op.create_table(
        "projects",
        _text("id"),
        _text("tenant"),
        _text("name"),
        sa.Column("is_active", sa.Boolean, nullable=False),
        _json("limits"),
        sa.Column("log_privacy", sa.Text),
        sa.Column("retention_days", sa.Integer),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_projects_tenant"),
        sa.UniqueConstraint("tenant", "id", name="uq_projects_tenant_id"),
    )
    op.create_table(
        "keys",
        _text("id"),
        _text("name"),
        _text("role"),
        _json("secrets"),
        *_binding("keys"),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        _json("limits"),
        *(sa.Column(name, sa.ARRAY(sa.Text)) for name in NAMES),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    op.create_table(
        "issuers",
        _text("id"),
        _text("audience"),
        sa.Column("algorithms", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("tenant", sa.Text),
        sa.Column("tenant_claim", sa.Text),
        sa.Column("project_claim", sa.Text),
        sa.Column("roles_claim", sa.Text),
        _json("roles"),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_issuers"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_issuers_tenant"),
    )
    op.create_table(
        "users",
        _text("id"),
        _text("issuer"),
        _text("subject"),
        _text("email"),
        _text("role"),
        *_binding("users"),
        sa.Column("is_active", sa.Boolean, nullable=False),
        _json("limits"),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.ForeignKeyConstraint(["issuer"], ["issuers.id"], name="fk_users_issuer"),
        sa.UniqueConstraint("issuer", "subject", name="uq_users_issuer_subject"),
    )
    op.create_table(
        "models",
        _text("id"),
        _json("price"),
        _json("adapter_prices"),
        _json("limits"),
        *_stamps(),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
    )
    for table, column in (("issuers", "tenant"), *_each("keys"), *_each("users")):
        op.create_index(f"ix_{table}_{column}", table, [column])


def _audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        _moment("at", "clock_timestamp()"),
        _text("actor"),
        _text("action"),
        _text("kind"),
        _text("target"),
        sa.Column("tenant", sa.Text),
        sa.Column("project", sa.Text),
        sa.Column("before", JSONB),
        sa.Column("after", JSONB),
        sa.Column("request_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    for columns in (["tenant", "id"], ["actor", "id"], ["kind", "target", "id"], ["at"]):
        op.create_index(f"ix_audit_log_{'_'.join(columns)}", "audit_log", columns)
    op.execute(APPEND_ONLY)
    op.execute(REFUSED)


def _change_log() -> None:
    op.create_table(
        "policy_epoch", _text("epoch"), sa.PrimaryKeyConstraint("epoch", name="pk_policy_epoch")
    )
    op.execute("INSERT INTO policy_epoch VALUES (gen_random_uuid()::text)")
    op.create_table(
        "policy_versions",
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        _moment("at", "clock_timestamp()"),
        _text("actor"),
        _text("summary"),
        sa.PrimaryKeyConstraint("version", name="pk_policy_versions"),
    )
    op.create_table(
        "policy_changes",
        sa.Column("version", sa.BigInteger, nullable=False),
        _text("kind"),
        _text("id"),
        sa.Column("before", JSONB),
        sa.Column("after", JSONB),
        sa.PrimaryKeyConstraint("version", "kind", "id", name="pk_policy_changes"),
        _of_a_version("policy_changes"),
    )
    op.create_index(
        "ix_policy_changes_kind_id_version", "policy_changes", ["kind", "id", "version"]
    )
    op.create_table(
        "policy_documents",
        _text("kind"),
        _text("id"),
        _json("document"),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_policy_documents"),
        _of_a_version("policy_documents"),
    )


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, JSONB, nullable=False)


def _moment(name: str, default: str) -> sa.Column[Any]:
    return sa.Column(
        name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text(default)
    )


def _stamps() -> tuple[sa.Column[Any], ...]:
    return _moment("created_at", "now()"), _moment("updated_at", "now()")


def _binding(table: str) -> tuple[Any, ...]:
    return (
        sa.Column("tenant", sa.Text),
        sa.Column("project", sa.Text),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name=f"fk_{table}_tenant"),
        sa.ForeignKeyConstraint(
            ["tenant", "project"],
            ["projects.tenant", "projects.id"],
            name=f"fk_{table}_tenant_project",
        ),
        sa.CheckConstraint(
            "project IS NULL OR tenant IS NOT NULL", name=f"ck_{table}_project_has_tenant"
        ),
    )


def _each(table: str) -> tuple[tuple[str, str], ...]:
    return (table, "tenant"), (table, "project")


def _of_a_version(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["version"], ["policy_versions.version"], name=f"fk_{table}_version"
    )
