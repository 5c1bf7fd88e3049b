"""/v1/keys: API keys. Get and list show what bounds a key, never what opens it."""

from typing import Annotated

from fastapi import APIRouter, Path

from control_plane.access import in_sight, requires
from control_plane.keys import service
from control_plane.keys.schemas import KeyPatch, KeyShown, KeyView, NewKey, Rotation
from control_plane.plane import Plane, Session
from control_plane.store import rows
from control_plane.store.tables import keys
from control_plane.wire import LimitsBody, Page, Paged, ProjectId, TenantId, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/keys", tags=["keys"])
Reader = Annotated[Principal, requires(Permission.KEYS_READ)]
Writer = Annotated[Principal, requires(Permission.KEYS_WRITE)]
Limiter = Annotated[Principal, requires(Permission.LIMITS_WRITE)]
Id = Annotated[str, Path(pattern="^[A-Za-z0-9]{1,64}$")]


@router.get("")
async def list_keys(
    caller: Reader,
    session: Session,
    paging: Paged,
    tenant: TenantId | None = None,
    project: ProjectId | None = None,
) -> Page[KeyView]:
    where = in_sight(caller, keys.c.tenant, keys.c.project)
    where += [keys.c.tenant == tenant] if tenant else []
    where += [keys.c.project == project] if project else []
    return await paged(session, KeyView, keys, paging, *where)


@router.post("", status_code=201)
async def create_key(caller: Writer, session: Session, plane: Plane, body: NewKey) -> KeyShown:
    row, made = await service.create(session, caller, plane.pepper, body)
    return KeyShown.of(row, key=made.text)


@router.get("/{key}")
async def get_key(caller: Reader, session: Session, key: Id) -> KeyView:
    seen = in_sight(caller, keys.c.tenant, keys.c.project)
    return KeyView.of(await rows.one(session, keys, key, *seen))


@router.patch("/{key}")
async def change_key(caller: Writer, session: Session, key: Id, body: KeyPatch) -> KeyView:
    return KeyView.of(await service.change(session, caller, key, body))


@router.patch("/{key}/limits")
async def limit_key(caller: Limiter, session: Session, key: Id, body: LimitsBody) -> KeyView:
    return KeyView.of(await service.limit(session, caller, key, body))


@router.post("/{key}/rotate")
async def rotate_key(
    caller: Writer, session: Session, plane: Plane, key: Id, body: Rotation
) -> KeyShown:
    row, made = await service.rotate(session, caller, plane.pepper, key, body.overlap_s)
    return KeyShown.of(row, key=made.text)


@router.post("/{key}/revoke")
async def revoke_key(caller: Writer, session: Session, key: Id) -> KeyView:
    return KeyView.of(await service.revoke(session, caller, key))
