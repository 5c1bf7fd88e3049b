"""/v1/tenants: teams, and what they may use."""

from typing import Annotated

from fastapi import APIRouter

from control_plane.access import in_sight, requires
from control_plane.plane import Session
from control_plane.store import rows
from control_plane.store.tables import tenants
from control_plane.tenants import service
from control_plane.tenants.schemas import NewTenant, TenantPatch, TenantView
from control_plane.wire import LimitsBody, ModelName, Page, Paged, TenantId, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/tenants", tags=["tenants"])
Reader = Annotated[Principal, requires(Permission.TENANTS_READ)]
Writer = Annotated[Principal, requires(Permission.TENANTS_WRITE)]
Founder = Annotated[Principal, requires(Permission.TENANTS_WRITE, of_organisation=True)]
Limiter = Annotated[Principal, requires(Permission.LIMITS_WRITE, of_organisation=True)]


@router.get("")
async def list_tenants(caller: Reader, session: Session, paging: Paged) -> Page[TenantView]:
    return await paged(session, TenantView, tenants, paging, *in_sight(caller, tenants.c.id))


@router.post("", status_code=201)
async def create_tenant(caller: Founder, session: Session, body: NewTenant) -> TenantView:
    return TenantView.of(await service.create(session, caller, body))


@router.get("/{tenant}")
async def get_tenant(caller: Reader, session: Session, tenant: TenantId) -> TenantView:
    seen = in_sight(caller, tenants.c.id)
    return TenantView.of(await rows.one(session, tenants, tenant, *seen))


@router.patch("/{tenant}")
async def change_tenant(
    caller: Writer, session: Session, tenant: TenantId, body: TenantPatch
) -> TenantView:
    return TenantView.of(await service.change(session, caller, tenant, body))


@router.patch("/{tenant}/limits")
async def limit_tenant(
    caller: Limiter, session: Session, tenant: TenantId, body: LimitsBody
) -> TenantView:
    return TenantView.of(await service.limit(session, caller, tenant, body))


@router.patch("/{tenant}/models/{model}/limits")
async def limit_model(
    caller: Limiter, session: Session, tenant: TenantId, model: ModelName, body: LimitsBody
) -> TenantView:
    """What the tenant may use of one model."""
    return TenantView.of(await service.limit_model(session, caller, tenant, model, body))


@router.delete("/{tenant}/models/{model}/limits")
async def unlimit_model(
    caller: Limiter, session: Session, tenant: TenantId, model: ModelName
) -> TenantView:
    return TenantView.of(await service.limit_model(session, caller, tenant, model, None))
