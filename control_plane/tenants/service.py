"""Changes of tenants. Only the organisation sets what bounds a tenant."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.access import not_of_a_project, tenant_in_sight
from control_plane.guardrails.choice import can_be_chosen
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import tenants
from control_plane.tenants.schemas import NewTenant, TenantPatch
from control_plane.wire import LimitsBody
from serving.contract.errors import Conflict, Forbidden, NotFound
from serving.contract.policy import NO_LIMITS, Tenant
from serving.contract.principal import Principal


async def create(session: AsyncSession, caller: Principal, body: NewTenant) -> Row[Any]:
    edit = await begin(session, caller.id)
    if await edit.find(Tenant, body.id) is not None:
        raise Conflict(f"there is a tenant '{body.id}' already; choose another id", param="id")
    await can_be_chosen(edit, body.guardrails, tenant=body.id)
    tenant = Tenant(limits=body.limits.over(NO_LIMITS), **body.given("limits"))
    return await _put(edit, tenant, "create")


async def change(
    session: AsyncSession, caller: Principal, tenant_id: str, body: TenantPatch
) -> Row[Any]:
    if caller.tenant is not None and "is_active" in body.given():
        raise Forbidden(f"'{caller.id}' is bound to a tenant and cannot switch tenants on or off")
    edit = await begin(session, caller.id)
    tenant = await find(edit, caller, tenant_id)
    not_of_a_project(caller)
    await can_be_chosen(edit, body.guardrails, tenant=tenant.id)
    return await _put(edit, replace(tenant, **body.given()), "change")


async def limit(
    session: AsyncSession, caller: Principal, tenant_id: str, body: LimitsBody
) -> Row[Any]:
    edit = await begin(session, caller.id)
    tenant = await find(edit, caller, tenant_id)
    return await _put(edit, replace(tenant, limits=body.over(tenant.limits)), "limit")


async def limit_model(
    session: AsyncSession, caller: Principal, tenant_id: str, model: str, body: LimitsBody | None
) -> Row[Any]:
    """Without a body: the model has no limits of its own any more."""
    edit = await begin(session, caller.id)
    tenant = await find(edit, caller, tenant_id)
    others = {name: each for name, each in tenant.model_limits.items() if name != model}
    if body is not None:
        others[model] = body.over(tenant.model_limits.get(model, NO_LIMITS))
    return await _put(edit, replace(tenant, model_limits=others), "limit")


async def find(edit: Edit, caller: Principal, tenant_id: str) -> Tenant:
    """Raises NotFound for one that is not there or not in sight."""
    tenant_in_sight(caller, tenant_id)
    tenant = await edit.find(Tenant, tenant_id)
    if tenant is None:
        raise NotFound(f"no tenant '{tenant_id}'")
    return tenant


async def _put(edit: Edit, tenant: Tenant, action: str) -> Row[Any]:
    await edit.put(tenant, action=action)
    return await rows.one(edit.session, tenants, tenant.id)
