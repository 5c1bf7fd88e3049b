"""/v1/approvals: calls of tools that wait for a person, and what that person says.

Who may write policies may decide: operators, admins and owners. No other role does, so whose key
asked for a call cannot approve it, unless it is one of those.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.objects import gate_of, json_answer, presented, sent
from serving.adapters.redis import StoreUnavailable
from serving.adapters.tool_approvals import ApprovalStore
from serving.contract.approvals import DECIDED, Approval, Decision, can_be_approved
from serving.contract.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from serving.contract.permissions import Permission
from serving.contract.principal import Principal

T = TypeVar("T")
MOST = 100
MAY_DECIDE = Permission.POLICY_WRITE
MAY_ASK = Permission.INFERENCE
log: structlog.stdlib.BoundLogger = structlog.get_logger("tools")


class Said(BaseModel):
    """What a person says of a call."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: Decision
    reason: Annotated[str, StringConstraints(max_length=1024)] = ""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who asks, and the tenant and project (None: all of them) whose approvals it may see."""

    principal: Principal
    tenant: str
    project: str | None


def routes(store: ApprovalStore | None) -> list[Route]:
    """None: a gateway that governs nobody has no approvals."""
    endpoint = Approvals(store)
    return [
        Route("/v1/approvals", endpoint.list_waiting, methods=["GET"]),
        Route("/v1/approvals/{id}", endpoint.get, methods=["GET"]),
        Route("/v1/approvals/{id}", endpoint.decide, methods=["POST"]),
    ]


class Approvals:
    """The endpoints. A project's key sees its project's, a tenant's all of its tenant."""

    def __init__(self, store: ApprovalStore | None) -> None:
        self._store = store

    async def list_waiting(self, request: Request) -> Response:
        """The oldest first."""
        reader = await _reader(request, MAY_DECIDE)
        limit = _limit(request.query_params)
        found = await _answered(self._known.waiting(reader.tenant, reader.project, limit + 1))
        data = [_object(approval) for approval in found[:limit]]
        return json_answer({"object": "list", "data": data, "has_more": len(found) > limit})

    async def get(self, request: Request) -> Response:
        """Also for who asked for the call, to see when it can go on."""
        return json_answer(
            _object(await self._found(request, await _reader(request, MAY_ASK, MAY_DECIDE)))
        )

    async def decide(self, request: Request) -> Response:
        reader = await _reader(request, MAY_DECIDE)
        said = await sent(request, Said)
        approval = await self._found(request, reader)
        status, by = DECIDED[said.decision], reader.principal.id
        if not await _answered(self._known.decide(approval, status, by, said.reason)):
            now = await self._found(request, reader)
            raise Conflict(f"the call '{approval.id}' was decided before: it is {now.status.value}")
        log.info(
            "approval_decided",
            approval=approval.id,
            tenant=approval.tenant,
            tool=approval.tool,
            status=status.value,
            by=by,
        )
        return json_answer(_object(await self._found(request, reader)))

    @property
    def _known(self) -> ApprovalStore:
        if self._store is None:
            raise NotFound("this gateway has no approvals: it governs nobody (GATEWAY_GOVERNED)")
        return self._store

    async def _found(self, request: Request, reader: _Reader) -> Approval:
        id_: str = request.path_params["id"]
        found = None
        if can_be_approved(id_):
            found = await _answered(self._known.find(reader.tenant, id_))
        if found is None or reader.project not in (None, found.project):
            raise NotFound(f"no call '{id_[:64]}' waits for approval, or nobody decided in time")
        return found


async def _reader(request: Request, *permissions: Permission) -> _Reader:
    """With one of `permissions` at least. Raises Forbidden without."""
    principal = await gate_of(request).gatekeeper.admit(presented(request))
    if principal.permissions.isdisjoint(permissions):
        principal.require(permissions[0])
    tenant = request.query_params.get("tenant") or principal.tenant
    if tenant is None:
        raise InvalidRequest(
            "this key is of no tenant: say whose approvals, as in '?tenant=default'", param="tenant"
        )
    if principal.tenant not in (None, tenant):
        raise Forbidden(f"'{principal.id}' belongs to another tenant than '{tenant[:64]}'")
    return _Reader(principal, tenant, principal.project)


def _limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", str(MOST))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST):
        raise InvalidRequest(f"'limit' must be a number from 1 to {MOST}", param="limit")
    return int(text)


async def _answered(asked: Awaitable[T]) -> T:
    """What the store says; without it nothing can be said."""
    try:
        return await asked
    except StoreUnavailable as error:
        raise Unavailable("approvals cannot be read at the moment; try again soon") from error


def _object(approval: Approval) -> dict[str, Any]:
    fields = asdict(approval)
    del fields["digest"]
    return {"object": "approval", **fields}
