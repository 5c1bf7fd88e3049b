"""Where a new key or person belongs, and whether its maker may make it."""

from control_plane import authority
from control_plane.access import is_in_sight, tenant_in_sight
from control_plane.authority import Authority
from control_plane.store.edit import Edit
from serving.contract.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from serving.contract.policy import Key, Project, Tenant, User
from serving.contract.principal import Principal

Binding = tuple[str | None, str | None]  # tenant, project


async def bound(edit: Edit, caller: Principal, tenant: str | None, project: str | None) -> Binding:
    """What was asked for, else what binds the caller. Raises NotFound for what is not in sight."""
    project = project or caller.project
    if project is not None:
        tenant = tenant or project.partition("/")[0]
    tenant = tenant or caller.tenant
    if project is not None and project.partition("/")[0] != tenant:
        raise InvalidRequest(f"project '{project}' is not of tenant '{tenant}'", param="project")
    await _exist(edit, caller, tenant, project)
    return tenant, project


async def _exist(edit: Edit, caller: Principal, tenant: str | None, project: str | None) -> None:
    if tenant is not None:
        tenant_in_sight(caller, tenant)
        if await edit.find(Tenant, tenant) is None:
            raise NotFound(f"no tenant '{tenant}'")
    if project is not None:
        known = await edit.find(Project, project)
        if known is None or not is_in_sight(caller, known.tenant, known.id):
            raise NotFound(f"no project '{project}'")


async def within_authority(edit: Edit, caller: Principal, *wanted: Authority) -> None:
    """Raises Forbidden for what is more than the caller has, and names the respects."""
    own = await _authority(edit, caller)
    beyond = sorted({name for each in wanted for name in authority.excess(own, each)})
    if beyond:
        raise Forbidden(f"nobody can grant more than they have: {', '.join(beyond)}")


async def _authority(edit: Edit, caller: Principal) -> Authority:
    """As it is now that the edit has begun: it may have become less since the caller was known."""
    kind, _, id_ = caller.id.partition(":")
    if kind == "key":
        key = await edit.find(Key, id_)
        if key is None:
            raise Unauthenticated("the API key was revoked")
        return authority.of_key(key)
    user = await edit.find(User, id_)
    return authority.of_principal(caller) if user is None else authority.of_user(user)
