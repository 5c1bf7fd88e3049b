"""Runs of calls of tools in Redis: what a session has done, and how often tools were called."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.adapters.redis import shard_tag
from serving.adapters.redis_lane import Lane
from serving.adapters.redis_scripts import Script
from serving.adapters.redis_wire import Reply
from serving.adapters.tool_approvals import DECIDED_KEPT_S, approval_key
from serving.contract.approvals import ApprovalStatus

REMEMBERED_S = 3600.0  # a run without another call
READ = Script("quota_clock", "tool_rate", "tool_run_read")
ADD = Script("quota_clock", "tool_rate", "tool_run_add")


@dataclass(frozen=True, slots=True)
class Known:
    """`approvals` are the status and the digest of each id; None where there is none."""

    calls_made: int
    is_tainted: bool
    rates_left: Mapping[str, int]
    approvals: Mapping[str, tuple[ApprovalStatus, str] | None]


@dataclass(frozen=True, slots=True)
class Made:
    """Calls that were passed on, by their tool."""

    calls: Mapping[str, int]
    is_tainted: bool


class RunStore:
    """All of one tenant is on one shard. `rates` are calls per minute by the name of the tool."""

    def __init__(self, asks: Lane) -> None:
        self._asks = asks

    async def read(
        self, tenant: str, session: str | None, rates: Mapping[str, int], ids: Sequence[str]
    ) -> Known:
        """In one round trip. Raises StoreUnavailable."""
        keys = [
            _run_key(tenant, session),
            *(_rate_key(tenant, name) for name in rates),
            *(approval_key(tenant, id_) for id_ in ids),
        ]
        kept_ms = round(DECIDED_KEPT_S * 1e3)
        command = READ.call(keys, len(rates), kept_ms, *rates.values())
        calls, tainted, left, said = await self._asks.ask(command)
        pairs = zip(said[::2], said[1::2], strict=True)
        approvals = {id_: _said(*pair) for id_, pair in zip(ids, pairs, strict=True)}
        return Known(calls, bool(tainted), dict(zip(rates, left, strict=True)), approvals)

    def add(
        self, tenant: str, session: str | None, rates: Mapping[str, int], made: Made
    ) -> asyncio.Future[Reply]:
        """Count calls; sent also when nobody awaits it. Done twice it counts them twice."""
        keys = [_run_key(tenant, session), *(_rate_key(tenant, name) for name in rates)]
        lives_ms = 0 if session is None else round(REMEMBERED_S * 1e3)
        counts = [
            word for name, limit in rates.items() for word in (limit, made.calls.get(name, 0))
        ]
        total = sum(made.calls.values())
        command = ADD.call(keys, lives_ms, total, int(made.is_tainted), *counts)
        return self._asks.ask(command, is_urgent=False)


def _said(status: bytes, digest: bytes) -> tuple[ApprovalStatus, str] | None:
    return (ApprovalStatus(status.decode()), digest.decode()) if status else None


def _run_key(tenant: str, session: str | None) -> str:
    # With a mark of its own: the run of no session is none's, whatever sessions are called.
    return f"conch:{{{shard_tag(tenant)}}}:run:{tenant}:{'-' if session is None else '+' + session}"


def _rate_key(tenant: str, tool: str) -> str:
    return f"conch:{{{shard_tag(tenant)}}}:toolrate:{tenant}:{tool}"
