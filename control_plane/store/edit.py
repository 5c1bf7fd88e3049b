"""The one way to change a policy document: table, audit log and change log in one transaction."""

from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store import audit, policy_log
from control_plane.store.locks import Lock
from control_plane.store.owners import has_owner, is_owner
from control_plane.store.tables import (
    TABLE_OF,
    policy_changes,
    policy_documents,
    policy_versions,
)
from serving.contract.errors import Conflict, Unauthenticated
from serving.contract.policy import KINDS, Document, Key, User
from serving.identity.documents import decode, encode, kind_of

D = TypeVar("D", bound=Document)
CHANNEL = "conch_policy"
PATIENCE = "5s"
_KIND: dict[type[Any], str] = {document: kind for kind, document in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Edit:
    """The changes of one transaction by one actor. Edits take turns, from `begin` to the commit.

    So what `find` returned cannot change underneath, and versions commit in order without gaps.
    """

    session: AsyncSession
    actor: str

    async def find(self, kind: type[D], id_: str) -> D | None:
        return await find(self.session, kind, id_)

    async def put(self, document: Document, *, action: str) -> None:
        """Makes or replaces a document. Nothing is written where nothing has changed."""
        before = await self.find(type(document), document.id)
        if before == document:
            return
        await _upsert(self.session, document)
        await self._log(action, before, document)

    async def remove(self, document: Document, *, action: str) -> None:
        table = TABLE_OF[type(document)]
        await self.session.execute(delete(table).where(table.c.id == document.id))
        await self._log(action, document, None)

    async def _log(self, action: str, before: Document | None, after: Document | None) -> None:
        """Under the next version; raises Conflict when the organisation has lost its last owner."""
        subject = after or before
        assert subject is not None
        number = await self._next_version(f"{action} {kind_of(subject)} {subject.id}")
        await self._log_change(number, subject, before, after)
        await audit.append(self.session, self.actor, action, before, after)
        await self.session.execute(select(func.pg_notify(CHANNEL, str(number))))
        if is_owner(before) and not is_owner(after) and not await has_owner(self.session):
            raise Conflict("this would leave the organisation without an owner; make another first")

    async def _next_version(self, summary: str) -> int:
        number = (await policy_log.version(self.session)).number + 1
        row = {"version": number, "actor": self.actor, "summary": summary}
        await self.session.execute(insert(policy_versions).values(row))
        return number

    async def _log_change(
        self, number: int, subject: Document, before: Document | None, after: Document | None
    ) -> None:
        identity = {"kind": kind_of(subject), "id": subject.id}
        logged = {"version": number, "before": _stored(before), "after": _stored(after)}
        await self.session.execute(insert(policy_changes).values(identity | logged))
        await self._keep(identity, number, after)

    async def _keep(self, identity: dict[str, str], number: int, after: Document | None) -> None:
        if after is None:
            await self.session.execute(delete(policy_documents).filter_by(**identity))
            return
        now = {"document": _stored(after), "version": number}
        put = upsert(policy_documents).values(identity | now)
        await self.session.execute(
            put.on_conflict_do_update(index_elements=["kind", "id"], set_=now)
        )


async def begin(session: AsyncSession, actor: str) -> Edit:
    """Waits for its turn; raises Unavailable when that does not come.

    Raises Unauthenticated when the actor has lost its access meanwhile.
    """
    await session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
    await session.execute(select(func.pg_advisory_xact_lock(Lock.EDIT)))
    edit = Edit(session, actor)
    await _check_actor(edit)
    return edit


async def _check_actor(edit: Edit) -> None:
    kind, _, id_ = edit.actor.partition(":")
    found: Key | User | None = None
    if kind == "key":
        found = await edit.find(Key, id_)
    elif kind == "user":
        found = await edit.find(User, id_)
    if found is not None and not found.is_active:
        raise Unauthenticated(f"the access of '{edit.actor}' was taken back")


async def find(session: AsyncSession, kind: type[D], id_: str) -> D | None:
    """The document as it is now, or None."""
    documents = policy_documents.c
    found: dict[str, Any] | None = await session.scalar(
        select(documents.document).where(documents.kind == _KIND[kind], documents.id == id_)
    )
    if found is None:
        return None
    document = decode(_KIND[kind], orjson.dumps(found))
    assert isinstance(document, kind)
    return document


async def _upsert(session: AsyncSession, document: Document) -> None:
    table = TABLE_OF.get(type(document))
    if table is None:
        return
    row = orjson.loads(orjson.dumps(document))
    changes = row | {"updated_at": func.now()}
    put = upsert(table).values(row)
    await session.execute(put.on_conflict_do_update(index_elements=["id"], set_=changes))


def _stored(document: Document | None) -> dict[str, Any] | None:
    if document is None:
        return None
    stored: dict[str, Any] = orjson.loads(encode(document))
    return stored
