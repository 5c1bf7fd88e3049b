"""Who calls, what its endpoint needs, and what of the organisation it can see."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import Column, ColumnElement

from control_plane.login.sessions import session_principal, session_token
from control_plane.peers import address_of
from control_plane.plane import Plane
from control_plane.settings import ControlSettings
from serving.contract.errors import Forbidden, NotFound
from serving.contract.permissions import Permission
from serving.contract.principal import Principal
from serving.identity.identify import Credentials, bearer, identify


async def _caller(request: Request, plane: Plane) -> Principal:
    """Raises what `identify` raises. Who cannot be right costs the database nothing, and no
    connection to it is held while an issuer is asked.
    """
    credentials = _credentials(request, plane.settings)
    token = session_token(request, plane.login)
    if token is None:
        presented = bearer(credentials.authorization)
        plane.verifier.screen(presented, credentials.address, time.time())
    principal = None
    async with plane.database.session() as session:
        directory = await plane.policy.fresh(session)
        if token is not None:
            principal = await session_principal(token, session, directory)
    if principal is None:
        principal = await identify(credentials, directory, plane.verifier, time.time())
    structlog.contextvars.bind_contextvars(principal=principal.id, tenant=principal.tenant)
    return principal


def _credentials(request: Request, settings: ControlSettings) -> Credentials:
    header = request.headers.get("authorization")
    address = address_of(request, settings)
    return Credentials(header.encode("latin-1") if header else None, address)


Caller = Annotated[Principal, Depends(_caller)]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a caller of an endpoint must have; `of_organisation`: it is bound to no tenant.

    None for `permission`: it must be known, and that is enough.
    """

    permission: Permission | None
    of_organisation: bool = False

    async def __call__(self, caller: Caller) -> Principal:
        if self.permission is not None:
            caller.require(self.permission)
        if self.of_organisation and caller.tenant is not None:
            raise Forbidden(f"'{caller.id}' is bound to a tenant; this is the organisation's to do")
        return caller


def requires(permission: Permission, *, of_organisation: bool = False) -> Any:
    """For `Annotated[Principal, requires(…)]`: the caller, which has the permission."""
    return Depends(Requirement(permission, of_organisation))


async def open_to_all() -> None:
    """Declares, as `dependencies=[Depends(open_to_all)]`, that an endpoint needs no caller."""


def requirements(app: FastAPI) -> Iterator[tuple[APIRoute, Requirement | None]]:
    """Every endpoint and what it needs, None where that is nothing.

    Raises TypeError for an endpoint that does not say.
    """
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            yield route, _requirement(route)


def _requirement(route: APIRoute) -> Requirement | None:
    calls = [each.call for each in route.dependant.dependencies]
    found = next((call for call in calls if isinstance(call, Requirement)), None)
    if found is None and open_to_all not in calls:
        raise TypeError(f"{route.path} says neither what its caller must have nor that it is open")
    return found


def in_sight(
    caller: Principal, tenant: Column[Any], project: Column[Any] | None = None
) -> list[ColumnElement[bool]]:
    """What holds for the rows that are there for the caller at all, by what they belong to."""
    where: list[ColumnElement[bool]] = []
    if caller.tenant is not None:
        where.append(tenant == caller.tenant)
    if caller.project is not None and project is not None:
        where.append(project == caller.project)
    return where


def is_in_sight(caller: Principal, tenant: str | None, project: str | None = None) -> bool:
    """The same for one document."""
    if caller.tenant is not None and tenant != caller.tenant:
        return False
    return caller.project is None or project == caller.project


def tenant_in_sight(caller: Principal, tenant: str) -> None:
    """Raises NotFound for another tenant than the caller's, whether it is there or not."""
    if caller.tenant not in (None, tenant):
        raise NotFound(f"no tenant '{tenant}'")


def not_of_a_project(caller: Principal) -> None:
    """Raises Forbidden for one that is bound to a project: this is for its tenant to do."""
    if caller.project is not None:
        raise Forbidden(f"'{caller.id}' is bound to a project; this is for its tenant to do")
