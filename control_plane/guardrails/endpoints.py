"""/v1/guardrails: what texts and calls of tools are checked by."""

from typing import Annotated

from fastapi import APIRouter
from sqlalchemy import ColumnElement, or_

from control_plane.access import in_sight, requires
from control_plane.guardrails import service
from control_plane.guardrails.schemas import (
    GuardrailsBody,
    GuardrailsView,
    NewGuardrails,
    PolicyId,
)
from control_plane.plane import Session
from control_plane.store import rows
from control_plane.store.tables import guardrails
from control_plane.wire import Page, Paged, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal
from serving.guardrails.default_policy import BUILT_IN

router = APIRouter(prefix="/v1/guardrails", tags=["guardrails"])
Reader = Annotated[Principal, requires(Permission.POLICY_READ)]
Writer = Annotated[Principal, requires(Permission.POLICY_WRITE)]


@router.get("")
async def list_guardrails(caller: Reader, session: Session, paging: Paged) -> Page[GuardrailsView]:
    """Those that people wrote. The built-in ones, `default` and `off`, are there besides."""
    return await paged(session, GuardrailsView, guardrails, paging, *_seen(caller))


@router.post("", status_code=201)
async def create_guardrails(
    caller: Writer, session: Session, body: NewGuardrails
) -> GuardrailsView:
    return GuardrailsView.of(await service.create(session, caller, body))


@router.get("/{guardrail:path}")
async def get_guardrails(caller: Reader, session: Session, guardrail: PolicyId) -> GuardrailsView:
    if guardrail in BUILT_IN:
        return GuardrailsView.model_validate(BUILT_IN[guardrail])
    return GuardrailsView.of(await rows.one(session, guardrails, guardrail, *_seen(caller)))


@router.put("/{guardrail:path}")
async def replace_guardrails(
    caller: Writer, session: Session, guardrail: PolicyId, body: GuardrailsBody
) -> GuardrailsView:
    """Makes it where it is not there."""
    return GuardrailsView.of(await service.replace(session, caller, guardrail, body))


@router.delete("/{guardrail:path}", status_code=204)
async def remove_guardrails(caller: Writer, session: Session, guardrail: PolicyId) -> None:
    await service.remove(session, caller, guardrail)


def _seen(caller: Principal) -> list[ColumnElement[bool]]:
    """The organisation's are there for everybody."""
    tenant = guardrails.c.tenant
    own = in_sight(caller, tenant)
    return [or_(tenant.is_(None), *own)] if own else []
