"""Calls that wait for a person's approval, in Redis; forgotten when nobody decides in time."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import orjson

from serving.adapters.redis import shard_tag
from serving.adapters.redis_lane import Lane
from serving.adapters.redis_scripts import Command, Script
from serving.adapters.redis_wire import Reply
from serving.contract.approvals import Approval, ApprovalStatus

PENDING_KEPT_S = 24 * 3600.0
DECIDED_KEPT_S = 30 * 24 * 3600.0  # from when it was last asked for: its conversation may go on
MOST_WAITING = 1000  # of one tenant
ADD = Script("quota_clock", "tool_approval_add")
DECIDE = Script("quota_clock", "tool_approval_decide")


class ApprovalStore:
    """Every method raises StoreUnavailable. Nothing of one tenant is found under another."""

    def __init__(self, asks: Lane, *, pending_s: float = PENDING_KEPT_S) -> None:
        self._asks = asks
        self._pending_ms = round(pending_s * 1e3)

    def add(self, approval: Approval) -> asyncio.Future[Reply]:
        """False (0) where too many wait already. Sent also when nobody awaits it."""
        keys = approval_key(approval.tenant, approval.id), _waiting_key(approval.tenant)
        data = orjson.dumps(asdict(approval))
        words = _member(approval), self._pending_ms, MOST_WAITING, data, approval.digest
        return self._asks.ask(ADD.call(keys, *words))

    async def waiting(self, tenant: str, project: str | None, most: int) -> list[Approval]:
        """Those that nobody decided yet, the oldest first; None: of all projects."""
        words = ("ZRANGEBYSCORE", _waiting_key(tenant), round(time.time() * 1e3), "+inf")
        members: Sequence[bytes] = await self._asks.ask(Command(words))
        pairs = (member.decode().rsplit(" ", 1) for member in members)
        ids = [id_ for of, id_ in pairs if project in (None, of)]
        found = await asyncio.gather(*(self.find(tenant, id_) for id_ in ids[:most]))
        return [one for one in found if one is not None and one.status is ApprovalStatus.PENDING]

    async def find(self, tenant: str, id_: str) -> Approval | None:
        """None for one that is gone, or another tenant's."""
        words = ("HMGET", approval_key(tenant, id_), "data", "status", "by", "at", "reason")
        found = await self._asks.ask(Command(words))
        return None if found[0] is None else _approval(*found)

    async def decide(self, approval: Approval, status: ApprovalStatus, by: str, why: str) -> bool:
        """False where it is gone, or was decided otherwise before."""
        keys = approval_key(approval.tenant, approval.id), _waiting_key(approval.tenant)
        words = _member(approval), status.value, by, why, round(DECIDED_KEPT_S * 1e3)
        return bool(await self._asks.ask(DECIDE.call(keys, *words)) == 1)


def approval_key(tenant: str, id_: str) -> str:
    return f"conch:{{{shard_tag(tenant)}}}:approval:{tenant}:{id_}"


def _waiting_key(tenant: str) -> str:
    return f"conch:{{{shard_tag(tenant)}}}:approvals:{tenant}"


def _member(approval: Approval) -> str:
    return f"{approval.project} {approval.id}"


def _approval(
    data: bytes, state: bytes, by: bytes | None, at: bytes | None, reason: bytes | None
) -> Approval:
    status = ApprovalStatus(state.decode())
    approval = Approval(**(orjson.loads(data) | {"status": status}))
    if by is None or at is None:
        return approval
    why = (reason or b"").decode() or None
    return replace(approval, decided_by=by.decode(), decided_at=int(at) / 1e3, reason=why)
