"""The audit log: who did what to which document, before and after. It is only ever added to."""

from dataclasses import asdict, dataclass
from typing import Any

import orjson
import structlog
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.tables import audit_log
from serving.contract.policy import Document, Project, Tenant
from serving.identity.documents import kind_of


@dataclass(frozen=True, slots=True)
class Subject:
    """What something was done to, and whose it is."""

    kind: str
    target: str
    tenant: str | None
    project: str | None


async def append(
    session: AsyncSession,
    actor: str,
    action: str,
    before: Document | None,
    after: Document | None,
) -> None:
    """The change of a document."""
    document = after or before
    assert document is not None
    subject = Subject(kind_of(document), document.id, tenant_of(document), project_of(document))
    await note(session, actor, action, subject, before=_told(before), after=_told(after))


async def note(
    session: AsyncSession,
    actor: str,
    action: str,
    subject: Subject,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    """Under the request id that is bound to the log."""
    row = {
        **asdict(subject),
        "actor": actor,
        "action": action,
        "before": before,
        "after": after,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }
    await session.execute(insert(audit_log).values(row))


def tenant_of(document: Document) -> str | None:
    """The tenant a document is of; None for what is of the whole organisation."""
    return document.id if isinstance(document, Tenant) else getattr(document, "tenant", None)


def project_of(document: Document) -> str | None:
    return document.id if isinstance(document, Project) else getattr(document, "project", None)


def _told(document: Document | None) -> dict[str, Any] | None:
    return None if document is None else without_secrets(orjson.loads(orjson.dumps(document)))


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """A key's secrets without their digests."""
    if "secrets" not in document:
        return document
    kept = [{"expires_at": secret.get("expires_at")} for secret in document["secrets"]]
    return document | {"secrets": kept}
