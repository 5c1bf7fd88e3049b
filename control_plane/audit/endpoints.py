"""/v1/audit: who changed what, when; to read only."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import ColumnElement

from control_plane.access import in_sight, requires
from control_plane.audit.schemas import AuditView
from control_plane.plane import Session
from control_plane.store.tables import audit_log
from control_plane.wire import BackwardsPaged, Moment, Page, Word, paged_backwards
from serving.contract.permissions import Permission
from serving.contract.policy import KINDS
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/audit", tags=["audit"])
Reader = Annotated[Principal, requires(Permission.AUDIT_READ)]
Kind = Annotated[str, Query(pattern=f"^({'|'.join(KINDS)})$")]


async def _filter(
    actor: Word | None = None,
    kind: Kind | None = None,
    target: Word | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> list[ColumnElement[bool]]:
    """Which entries; times are Unix seconds."""
    columns = audit_log.c
    equal = {columns.actor: actor, columns.kind: kind, columns.target: target}
    where = [column == value for column, value in equal.items() if value is not None]
    where += [] if since is None else [columns.at >= since]
    where += [] if until is None else [columns.at < until]
    return where


Filter = Annotated[list[ColumnElement[bool]], Depends(_filter)]


@router.get("")
async def list_entries(
    caller: Reader, session: Session, paging: BackwardsPaged, wanted: Filter
) -> Page[AuditView]:
    """The newest first."""
    where = [*in_sight(caller, audit_log.c.tenant, audit_log.c.project), *wanted]
    return await paged_backwards(session, AuditView, audit_log.c.id, paging, *where)
