"""Changes of projects. Who is bound to a project does not set what bounds it."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from control_plane.access import is_in_sight, not_of_a_project
from control_plane.guardrails.choice import can_be_chosen
from control_plane.projects.schemas import NewProject, ProjectPatch
from control_plane.store import rows
from control_plane.store.edit import Edit, begin
from control_plane.store.tables import projects
from control_plane.tenants.service import find as find_tenant
from control_plane.wire import LimitsBody
from serving.contract.errors import Conflict, NotFound
from serving.contract.policy import NO_LIMITS, Project
from serving.contract.principal import Principal


async def create(session: AsyncSession, caller: Principal, body: NewProject) -> Row[Any]:
    edit = await begin(session, caller.id)
    tenant = await find_tenant(edit, caller, body.id.partition("/")[0])
    not_of_a_project(caller)
    if await edit.find(Project, body.id) is not None:
        raise Conflict(f"there is a project '{body.id}' already; choose another id", param="id")
    await can_be_chosen(edit, body.guardrails, tenant=tenant.id)
    said = body.given("limits")
    return await _put(
        edit, Project(tenant=tenant.id, limits=body.limits.over(NO_LIMITS), **said), "create"
    )


async def change(
    session: AsyncSession, caller: Principal, project_id: str, body: ProjectPatch
) -> Row[Any]:
    edit = await begin(session, caller.id)
    project = await find(edit, caller, project_id)
    if "guardrails" in body.given():
        not_of_a_project(caller)
        await can_be_chosen(edit, body.guardrails, tenant=project.tenant)
    return await _put(edit, replace(project, **body.given()), "change")


async def limit(
    session: AsyncSession, caller: Principal, project_id: str, body: LimitsBody
) -> Row[Any]:
    edit = await begin(session, caller.id)
    project = await find(edit, caller, project_id)
    not_of_a_project(caller)
    return await _put(edit, replace(project, limits=body.over(project.limits)), "limit")


async def find(edit: Edit, caller: Principal, project_id: str) -> Project:
    """Raises NotFound for one that is not there or not in sight."""
    project = await edit.find(Project, project_id)
    if project is None or not is_in_sight(caller, project.tenant, project.id):
        raise NotFound(f"no project '{project_id}'")
    return project


async def _put(edit: Edit, project: Project, action: str) -> Row[Any]:
    await edit.put(project, action=action)
    return await rows.one(edit.session, projects, project.id)
