"""Changes of guardrail policies. A tenant writes its own, the organisation all of them."""

import asyncio
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.access import is_in_sight, not_of_a_project
from control_plane.guardrails.choice import not_in_use
from control_plane.guardrails.schemas import GuardrailsBody, NewGuardrails, tenant_of
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import guardrails
from control_plane.tenants.service import find as find_tenant
from serving.contract.errors import Conflict, Forbidden, InvalidRequest, NotFound
from serving.contract.guardrails import GuardrailPolicy
from serving.contract.permissions import Permission
from serving.contract.principal import Principal
from serving.guardrails.default_policy import BUILT_IN

MOST_POLICIES = 64  # of a tenant, and of the organisation


async def create(session: AsyncSession, caller: Principal, body: NewGuardrails) -> Row[Any]:
    policy = await asyncio.to_thread(body.policy, body.id)
    edit = await begin(session, caller.id)
    await _may_write(edit, caller, body.id)
    if await edit.find(GuardrailPolicy, body.id) is not None:
        raise Conflict(f"there is a guardrail '{body.id}' already; choose another id", param="id")
    return await _put(edit, policy, "create")


async def replace(
    session: AsyncSession, caller: Principal, policy_id: str, body: GuardrailsBody
) -> Row[Any]:
    """Makes it where it is not there."""
    policy = await asyncio.to_thread(body.policy, policy_id)
    edit = await begin(session, caller.id)
    await _may_write(edit, caller, policy_id)
    return await _put(edit, policy, "replace")


async def remove(session: AsyncSession, caller: Principal, policy_id: str) -> None:
    edit = await begin(session, caller.id)
    policy = BUILT_IN.get(policy_id) or await edit.find(GuardrailPolicy, policy_id)
    if policy is None:
        raise NotFound(f"no guardrail '{policy_id}'")
    await _may_write(edit, caller, policy_id)
    await not_in_use(edit, policy_id)
    await edit.remove(policy, action="delete")


async def _may_write(edit: Edit, caller: Principal, policy_id: str) -> None:
    """Whoever writes what a tenant is checked by could as well choose another policy for it."""
    tenant = tenant_of(policy_id)
    if tenant is not None:
        if not is_in_sight(caller, tenant, caller.project):
            raise NotFound(f"no guardrail '{policy_id}'")
        not_of_a_project(caller)
        caller.require(Permission.TENANTS_WRITE)
        await find_tenant(edit, caller, tenant)
    elif caller.tenant is not None:
        raise Forbidden(
            f"'{caller.id}' is bound to a tenant; '{policy_id}' is the organisation's, "
            f"yours are called {caller.tenant}/<name>"
        )
    if policy_id.rpartition("/")[2] in BUILT_IN:
        raise InvalidRequest(f"'{policy_id}' is built in; choose another id", param="id")


async def _is_room_for(edit: Edit, policy: GuardrailPolicy) -> None:
    """Every gateway holds all policies: nobody has any number of them."""
    if await edit.find(GuardrailPolicy, policy.id) is not None:
        return
    theirs = select(func.count()).where(guardrails.c.tenant.is_not_distinct_from(policy.tenant))
    if (await edit.session.scalar(theirs) or 0) >= MOST_POLICIES:
        whose = f"tenant '{policy.tenant}'" if policy.tenant else "the organisation"
        raise Conflict(f"{whose} has {MOST_POLICIES} guardrail policies; remove one first")


async def _put(edit: Edit, policy: GuardrailPolicy, action: str) -> Row[Any]:
    await _is_room_for(edit, policy)
    await edit.put(policy, action=action)
    return await rows.one(edit.session, guardrails, policy.id)
