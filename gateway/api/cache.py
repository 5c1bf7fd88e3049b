"""/v1/cache: what the response cache holds, and how to make it forget.

Who may read the policy may see it, who may write it may purge: a project's key what is its
project's, a tenant's what is its tenant's. Models and adapters are everybody's.
"""

from dataclasses import asdict
from typing import Annotated, Self

import structlog
from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.objects import gate_of, json_answer, presented, sent
from gateway.stages.auth import identify
from gateway.stages.cache import ADAPTER, MODEL, PROJECT, SESSION, TENANT, tag
from gateway.stages.session import tied
from serving.adapters.redis import StoreUnavailable
from serving.adapters.response_cache import ResponseCache
from serving.contract.errors import Forbidden, NotFound, Unavailable
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
log: structlog.stdlib.BoundLogger = structlog.get_logger("cache")


class Purge(BaseModel):
    """Of one of them all answers; a session is one of a project."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name | None = None
    adapter: Annotated[str, StringConstraints(pattern=r"^[^:]+:[^:]+$", max_length=256)] | None = (
        None
    )
    tenant: Name | None = None
    project: Name | None = None
    session: Name | None = None

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        said = self.model_fields_set
        if said != {PROJECT, SESSION} and (len(said) != 1 or said == {SESSION}):
            raise ValueError("give one of model, adapter, tenant and project; session with project")
        return self

    def of(self, principal: Principal) -> str:
        """The tag that is purged. Raises Forbidden for what is others', too."""
        if self.project is not None:
            _own(principal.project, self.project, principal)
            _own(principal.tenant, self.project.partition("/")[0], principal)
            if self.session is not None:
                return tag(SESSION, tied(self.session, self.project))
            return tag(PROJECT, self.project)
        _own(principal.project, None, principal)
        if self.tenant is not None:
            _own(principal.tenant, self.tenant, principal)
            return tag(TENANT, self.tenant)
        _own(principal.tenant, None, principal)
        return (
            tag(MODEL, self.model) if self.model is not None else tag(ADAPTER, self.adapter or "")
        )


def _own(bound: str | None, wanted: str | None, principal: Principal) -> None:
    if bound not in (None, wanted):
        raise Forbidden(f"'{principal.id}' is bound to '{bound}' and purges nothing beyond it")


def routes(store: ResponseCache | None) -> list[Route]:
    """None: a gateway that governs nobody has no cache."""
    endpoint = Endpoint(store)
    return [
        Route("/v1/cache", endpoint.stats, methods=["GET"]),
        Route("/v1/cache/purge", endpoint.purge, methods=["POST"]),
    ]


class Endpoint:
    """What can be asked of the cache of all gateways together."""

    def __init__(self, store: ResponseCache | None) -> None:
        self._store = store

    async def stats(self, request: Request) -> Response:
        """For who is bound to nothing: it is of all tenants."""
        principal = await _admitted(request, Permission.POLICY_READ)
        if principal.tenant is not None:
            raise Forbidden(f"'{principal.id}' is bound to a tenant, and this is of all of them")
        try:
            stats = await self._known.stats()
        except StoreUnavailable as error:
            raise _away() from error
        return json_answer({"object": "cache", **asdict(stats)})

    async def purge(self, request: Request) -> Response:
        principal = await _admitted(request, Permission.POLICY_WRITE)
        wanted = (await sent(request, Purge)).of(principal)
        try:
            purged = await self._known.purge(wanted)
        except StoreUnavailable as error:
            raise _away() from error
        log.info("cache_purged", what=wanted, entries=purged, by=principal.id)
        return json_answer({"object": "cache.purge", "purged": purged})

    @property
    def _known(self) -> ResponseCache:
        if self._store is None:
            raise NotFound("this gateway has no cache: it governs nobody (GATEWAY_GOVERNED)")
        return self._store


async def _admitted(request: Request, permission: Permission) -> Principal:
    return await identify(presented(request), gate_of(request).gatekeeper, permission)


def _away() -> Unavailable:
    return Unavailable("the cache cannot be asked at the moment; try again soon")
