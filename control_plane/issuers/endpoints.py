"""/v1/issuers: the OpenID providers whose tokens are taken."""

from typing import Annotated

from fastapi import APIRouter

from control_plane.access import in_sight, requires
from control_plane.issuers import service
from control_plane.issuers.schemas import IssuerPatch, IssuerView, NewIssuer
from control_plane.plane import Session
from control_plane.store import rows
from control_plane.store.tables import issuers
from control_plane.wire import Page, Paged, Word, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/issuers", tags=["issuers"])
Reader = Annotated[Principal, requires(Permission.USERS_READ)]
Writer = Annotated[Principal, requires(Permission.ISSUERS_WRITE, of_organisation=True)]


@router.get("")
async def list_issuers(caller: Reader, session: Session, paging: Paged) -> Page[IssuerView]:
    return await paged(session, IssuerView, issuers, paging, *in_sight(caller, issuers.c.tenant))


@router.post("", status_code=201)
async def create_issuer(caller: Writer, session: Session, body: NewIssuer) -> IssuerView:
    return IssuerView.of(await service.create(session, caller, body))


@router.get("/{issuer:path}")
async def get_issuer(caller: Reader, session: Session, issuer: Word) -> IssuerView:
    seen = in_sight(caller, issuers.c.tenant)
    return IssuerView.of(await rows.one(session, issuers, issuer, *seen))


@router.patch("/{issuer:path}")
async def change_issuer(
    caller: Writer, session: Session, issuer: Word, body: IssuerPatch
) -> IssuerView:
    return IssuerView.of(await service.change(session, caller, issuer, body))


@router.delete("/{issuer:path}", status_code=204)
async def remove_issuer(caller: Writer, session: Session, issuer: Word) -> None:
    await service.remove(session, caller, issuer)
