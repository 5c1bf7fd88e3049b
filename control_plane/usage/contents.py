"""Stores prompts and answers, as much of them as each project keeps.

What cannot be stored is dropped and counted: nothing is billed by it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from control_plane.policy_copy import PolicyCopy
from control_plane.store import usage_contents
from control_plane.store.database import Database
from control_plane.store.usage_contents import StoredContent
from control_plane.usage.fit import LATEST, is_short
from control_plane.usage.metrics import UsageMetrics
from serving.adapters.content_stream import ContentEntry
from serving.contract.content import Content
from serving.contract.policy import LogPrivacy
from serving.guardrails.redact import redact_json
from serving.identity.directory import Directory

DAY_S = 86400


@dataclass(frozen=True, slots=True)
class ContentStore:
    """Where a consumer of the content streams brings its entries."""

    database: Database
    policy: PolicyCopy
    metrics: UsageMetrics

    async def store(self, entries: Sequence[ContentEntry]) -> None:
        """Raises Unavailable. What is there already stays as it is."""
        async with self.database.session() as session:
            directory = await self.policy.fresh(session)
        given = [entry.content for entry in entries if entry.content is not None]
        # Texts are long: other tasks of the process go on while they are searched.
        kept = await asyncio.to_thread(_kept, given, directory, time.time())
        async with self.database.session() as session:
            await usage_contents.add(session, kept)
        self.metrics.contents.labels("stored").inc(len(kept))
        self.metrics.contents.labels("dropped").inc(len(entries) - len(kept))


def _kept(contents: Sequence[Content], directory: Directory, now: float) -> list[StoredContent]:
    kept = []
    for content in contents:
        privacy = directory.privacy_of(content.project)
        stored = stored_content(content, privacy, directory.retention_days_of(content.project))
        kept += [stored] if stored is not None and stored.expires_at > now else []
    return kept


def stored_content(
    content: Content, privacy: LogPrivacy, retention_days: int
) -> StoredContent | None:
    """What is kept of `content`, if anything is."""
    if not privacy.keeps_texts or not _is_storable(content):
        return None
    is_redacted = privacy is LogPrivacy.REDACTED
    try:
        prompt, answer = (
            orjson.dumps(redact_json(orjson.loads(text))) if is_redacted else text
            for text in (content.prompt, content.answer)
        )
    except RecursionError:  # nested deeper than any gateway lets through
        return None
    return StoredContent(
        content.event_id,
        content.tenant,
        content.project,
        content.began_at,
        prompt,
        answer,
        is_redacted,
        expires_at=content.began_at + retention_days * DAY_S,
    )


def _is_storable(content: Content) -> bool:
    names = (content.event_id, content.tenant, content.project)
    return all(map(is_short, names)) and 0 <= content.began_at <= LATEST
