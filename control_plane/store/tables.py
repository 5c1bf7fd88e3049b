"""The tables of the identity documents, the audit log and the policy's change log.

Columns that a document has too are called as its fields are. A document that other documents
point at is never deleted, only made inactive.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import DateTime

from serving.contract.guardrails import GuardrailPolicy
from serving.contract.policy import Document, Issuer, Key, Model, Project, Tenant, User

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class UnixTime(TypeDecorator[float]):
    """A moment: `timestamptz` in PostgreSQL, seconds since 1970 in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else datetime.fromtimestamp(value, UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> float | None:  # noqa: ARG002
        return None if value is None else value.timestamp()


def _stamps() -> tuple[Column[float], Column[float]]:
    return (
        Column("created_at", UnixTime, nullable=False, server_default=func.now()),
        Column("updated_at", UnixTime, nullable=False, server_default=func.now()),
    )


def _active() -> Column[bool]:
    return Column("is_active", Boolean, nullable=False)


def _json(name: str) -> Column[object]:
    return Column(name, JSONB, nullable=False)


def _names(name: str) -> Column[list[str]]:
    """Null: all of them."""
    return Column(name, ARRAY(Text))


def _binding() -> tuple[Column[str], Column[str], ForeignKeyConstraint, CheckConstraint]:
    """To a tenant, to a project of it, or to none."""
    return (
        Column("tenant", ForeignKey("tenants.id"), index=True),
        Column("project", Text, index=True),
        ForeignKeyConstraint(["tenant", "project"], ["projects.tenant", "projects.id"]),
        CheckConstraint("project IS NULL OR tenant IS NOT NULL", name="project_has_tenant"),
    )


tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    _active(),
    _json("limits"),
    _json("model_limits"),
    Column("guardrails", Text),  # may be one that is built in, which is no row
    *_stamps(),
)

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    _active(),
    _json("limits"),
    Column("log_privacy", Text),
    Column("retention_days", Integer),
    Column("guardrails", Text),
    Column("cache", Text),
    *_stamps(),
    UniqueConstraint("tenant", "id"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    _json("secrets"),
    *_binding(),
    _active(),
    Column("expires_at", UnixTime),
    _json("limits"),
    _names("scopes"),
    _names("models"),
    _names("adapters"),
    _names("classes"),
    _names("tools"),
    _names("cidrs"),
    Column("last_used_at", UnixTime),
    *_stamps(),
)

issuers = Table(
    "issuers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("audience", Text, nullable=False),
    Column("algorithms", ARRAY(Text), nullable=False),
    Column("tenant", ForeignKey("tenants.id"), index=True),
    Column("tenant_claim", Text),
    Column("project_claim", Text),
    Column("roles_claim", Text),
    _json("roles"),
    *_stamps(),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("issuer", ForeignKey("issuers.id"), nullable=False),
    Column("subject", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    *_binding(),
    _active(),
    _json("limits"),
    *_stamps(),
    UniqueConstraint("issuer", "subject"),
)

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),
    _json("price"),
    _json("adapter_prices"),
    _json("limits"),
    *_stamps(),
)

guardrails = Table(
    "guardrails",
    metadata,
    Column("id", Text, primary_key=True),
    _json("checks"),
    Column("hold", Text, nullable=False),
    Column("on_failure", Text, nullable=False),
    Column("budget_ms", Integer, nullable=False),
    *(
        Column(name, Boolean, nullable=False)
        for name in ("is_spotlit", "is_reversible", "is_explained")
    ),
    Column("tenant", ForeignKey("tenants.id"), index=True),
    *_stamps(),
)

# The runtime settings have no table: there is one document of them, in `policy_documents`.
TABLE_OF: dict[type[Document], Table] = {
    Tenant: tenants,
    Project: projects,
    Key: keys,
    Issuer: issuers,
    User: users,
    Model: models,
    GuardrailPolicy: guardrails,
}

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", UnixTime, nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("tenant", Text),
    Column("project", Text),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    Column("request_id", Text),
    Index(None, "tenant", "id"),
    Index(None, "actor", "id"),
    Index(None, "kind", "target", "id"),
    Index(None, "at"),
)

policy_epoch = Table("policy_epoch", metadata, Column("epoch", Text, primary_key=True))

policy_versions = Table(
    "policy_versions",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UnixTime, nullable=False, server_default=func.clock_timestamp()),
    Column("actor", Text, nullable=False),
    Column("summary", Text, nullable=False),
)

policy_changes = Table(
    "policy_changes",
    metadata,
    Column("version", ForeignKey("policy_versions.version"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    Index(None, "kind", "id", "version"),
)

policy_documents = Table(
    "policy_documents",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("version", ForeignKey("policy_versions.version"), nullable=False),
)
