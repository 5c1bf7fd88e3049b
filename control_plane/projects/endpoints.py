"""/v1/projects: the pieces of work of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from control_plane.access import in_sight, requires
from control_plane.plane import Session
from control_plane.projects import service
from control_plane.projects.schemas import NewProject, ProjectPatch, ProjectView
from control_plane.store import rows
from control_plane.store.tables import projects
from control_plane.wire import SLUG, LimitsBody, Page, Paged, TenantId, paged
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

router = APIRouter(prefix="/v1/projects", tags=["projects"])
Reader = Annotated[Principal, requires(Permission.PROJECTS_READ)]
Writer = Annotated[Principal, requires(Permission.PROJECTS_WRITE)]
Limiter = Annotated[Principal, requires(Permission.LIMITS_WRITE)]


async def _id(tenant: TenantId, project: Annotated[str, Path(pattern=f"^{SLUG}$")]) -> str:
    return f"{tenant}/{project}"


Id = Annotated[str, Depends(_id)]


@router.get("")
async def list_projects(
    caller: Reader, session: Session, paging: Paged, tenant: TenantId | None = None
) -> Page[ProjectView]:
    where = in_sight(caller, projects.c.tenant, projects.c.id)
    if tenant is not None:
        where.append(projects.c.tenant == tenant)
    return await paged(session, ProjectView, projects, paging, *where)


@router.post("", status_code=201)
async def create_project(caller: Writer, session: Session, body: NewProject) -> ProjectView:
    return ProjectView.of(await service.create(session, caller, body))


@router.get("/{tenant}/{project}")
async def get_project(caller: Reader, session: Session, id_: Id) -> ProjectView:
    seen = in_sight(caller, projects.c.tenant, projects.c.id)
    return ProjectView.of(await rows.one(session, projects, id_, *seen))


@router.patch("/{tenant}/{project}")
async def change_project(
    caller: Writer, session: Session, id_: Id, body: ProjectPatch
) -> ProjectView:
    return ProjectView.of(await service.change(session, caller, id_, body))


@router.patch("/{tenant}/{project}/limits")
async def limit_project(
    caller: Limiter, session: Session, id_: Id, body: LimitsBody
) -> ProjectView:
    return ProjectView.of(await service.limit(session, caller, id_, body))
