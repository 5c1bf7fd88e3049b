"""Stored prompts and answers, for those who may read them. Every look is in the audit log."""

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.access import is_in_sight
from control_plane.store import audit, usage_contents
from control_plane.store.usage_contents import StoredContent
from control_plane.usage.schemas import ContentDeleted, ContentReply
from serving.contract.errors import NotFound
from serving.contract.principal import Principal


async def read(session: AsyncSession, caller: Principal, event_id: str) -> ContentReply:
    """Raises NotFound."""
    content = await _find(session, caller, event_id)
    await _note(session, caller, "read", content)
    return ContentReply(
        id=content.event_id,
        project=content.project,
        began_at=content.began_at,
        expires_at=content.expires_at,
        is_redacted=content.is_redacted,
        prompt=orjson.loads(content.prompt),
        answer=orjson.loads(content.answer),
    )


async def remove(session: AsyncSession, caller: Principal, event_id: str) -> ContentDeleted:
    """Raises NotFound."""
    content = await _find(session, caller, event_id)
    await usage_contents.remove(session, event_id)
    await _note(session, caller, "remove", content)
    return ContentDeleted(id=event_id)


async def _find(session: AsyncSession, caller: Principal, event_id: str) -> StoredContent:
    content = await usage_contents.find(session, event_id)
    if content is None or not is_in_sight(caller, content.tenant, content.project):
        raise NotFound(f"no texts are stored of request '{event_id}'")
    return content


async def _note(
    session: AsyncSession, caller: Principal, action: str, content: StoredContent
) -> None:
    subject = audit.Subject("content", content.event_id, content.tenant, content.project)
    await audit.note(session, caller.id, action, subject)
