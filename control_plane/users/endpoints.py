"""/v1/users: people, and what they are to the organisation, a tenant or a project."""

from typing import Annotated

from fastapi import APIRouter, Path

from control_plane.access import in_sight, requires
from control_plane.plane import Session
from control_plane.store import rows
from control_plane.store.tables import users
from control_plane.users import service
from control_plane.users.schemas import NewUser, UserPatch, UserView
from control_plane.wire import LimitsBody, Page, Paged, TenantId, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/users", tags=["users"])
Reader = Annotated[Principal, requires(Permission.USERS_READ)]
Writer = Annotated[Principal, requires(Permission.USERS_WRITE)]
Limiter = Annotated[Principal, requires(Permission.LIMITS_WRITE)]
Id = Annotated[str, Path(pattern="^[A-Za-z0-9]{1,64}$")]


@router.get("")
async def list_users(
    caller: Reader, session: Session, paging: Paged, tenant: TenantId | None = None
) -> Page[UserView]:
    where = in_sight(caller, users.c.tenant, users.c.project)
    where += [users.c.tenant == tenant] if tenant else []
    return await paged(session, UserView, users, paging, *where)


@router.post("", status_code=201)
async def create_user(caller: Writer, session: Session, body: NewUser) -> UserView:
    return UserView.of(await service.create(session, caller, body))


@router.get("/{user}")
async def get_user(caller: Reader, session: Session, user: Id) -> UserView:
    seen = in_sight(caller, users.c.tenant, users.c.project)
    return UserView.of(await rows.one(session, users, user, *seen))


@router.patch("/{user}")
async def change_user(caller: Writer, session: Session, user: Id, body: UserPatch) -> UserView:
    return UserView.of(await service.change(session, caller, user, body))


@router.patch("/{user}/limits")
async def limit_user(caller: Limiter, session: Session, user: Id, body: LimitsBody) -> UserView:
    return UserView.of(await service.limit(session, caller, user, body))


@router.delete("/{user}", status_code=204)
async def remove_user(caller: Writer, session: Session, user: Id) -> None:
    await service.remove(session, caller, user)
