"""The policy's change log: its versions, what each changed, and the documents as they are now."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.store.tables import (
    policy_changes,
    policy_documents,
    policy_epoch,
    policy_versions,
)
from serving.contract.policy import Change, Delta, Snapshot, Version


async def version(session: AsyncSession) -> Version:
    """The newest version that is committed; 0 before the first."""
    newest = select(func.coalesce(func.max(policy_versions.c.version), 0)).scalar_subquery()
    row = (await session.execute(select(policy_epoch.c.epoch, newest))).one()
    return Version(*row)


async def snapshot(session: AsyncSession) -> Snapshot:
    """Every document. Of one moment only in a session that is a snapshot; else some may be newer
    than the version says, which applying the deltas that follow mends.
    """
    at = await version(session)
    found = await session.execute(
        select(policy_documents.c.kind, policy_documents.c.id, policy_documents.c.document)
    )
    return Snapshot(at, tuple(_change(*row) for row in found))


async def deltas(session: AsyncSession, after: Version, *, limit: int) -> list[Delta]:
    """What was committed after `after`, in order, at most `limit` versions."""
    changes = policy_changes.c
    found = await session.execute(
        select(changes.version, changes.kind, changes.id, changes.after)
        .where(changes.version > after.number, changes.version <= after.number + limit)
        .order_by(changes.version)
    )
    return [
        Delta(Version(after.epoch, number), tuple(_change(*row[1:]) for row in rows))
        for number, rows in groupby(found, key=lambda row: row[0])
    ]


async def changes_between(session: AsyncSession, after: int, upto: int) -> Sequence[Row[Any]]:
    """All changes of the versions from `after` + 1 to `upto`, in order."""
    found = await session.execute(
        select(policy_changes)
        .where(policy_changes.c.version > after, policy_changes.c.version <= upto)
        .order_by(policy_changes.c.version)
    )
    return found.all()


async def document_at(session: AsyncSession, kind: str, id_: str, at: int) -> Row[Any] | None:
    """The last change of a document up to version `at`."""
    changes = policy_changes.c
    found = await session.execute(
        select(policy_changes)
        .where(changes.kind == kind, changes.id == id_, changes.version <= at)
        .order_by(changes.version.desc())
        .limit(1)
    )
    return found.one_or_none()


async def begin_epoch(session: AsyncSession) -> None:
    """Makes void what was published of this database before: for one that lost its last commits."""
    await session.execute(update(policy_epoch).values(epoch=str(uuid4())))


def _change(kind: str, id_: str, document: dict[str, Any] | None) -> Change:
    return Change(kind, id_, None if document is None else orjson.dumps(document))
