"""What is known of a run of calls of tools, in Redis: read before a request, added to after it.

Reading takes one round trip, and none where the policy says nothing of calls or the request has no
tools. Adding holds nobody up.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache

import structlog

from gateway.ask import Ask
from gateway.store_watch import StoreWatch
from serving.adapters.redis import Redis, StoreUnavailable
from serving.adapters.redis_lane import Lane, lane, unheard
from serving.adapters.redis_scripts import Command
from serving.adapters.tool_approvals import ApprovalStore
from serving.adapters.tool_runs import Known, Made, RunStore
from serving.contract.approvals import Approval, ApprovalStatus, approval_of
from serving.contract.calls import Call
from serving.contract.errors import ApprovalDenied, Unavailable
from serving.contract.guardrails import GuardrailPolicy, OnFailure
from serving.contract.principal import Principal
from serving.contract.task_errors import bare_errors
from serving.contract.tool_runs import NOTHING, ToolRun
from serving.contract.tools import name_of
from serving.guardrails.tools.calls import asked_about
from serving.guardrails.tools.guard import ToolGuard

MOST_ASKED = 256  # approvals of one conversation that are looked up
log: structlog.stdlib.BoundLogger = structlog.get_logger("tools")


class ToolRuns:
    """What Redis has of runs and approvals. One a process."""

    def __init__(self, asks: Lane, watch: StoreWatch) -> None:
        self.approvals = ApprovalStore(asks)
        self._asks = asks
        self._runs = RunStore(asks)
        self._watch = watch

    async def known(self, principal: Principal, ask: Ask, policy: GuardrailPolicy) -> ToolRun:
        """What a grant says of the run. Raises ApprovalDenied.

        While Redis is away: nothing, or Unavailable where the policy's failures are closed or an
        approval has to be looked up.
        """
        wanted = _wanted(ask.calls[0], guard_of(policy))
        if wanted is None or principal.tenant is None:
            return NOTHING
        found = await self._read(principal.tenant, wanted)
        if found is not None:
            return _told(found)
        if wanted.ids or policy.on_failure is OnFailure.CLOSED:
            raise Unavailable("what is known of calls of tools cannot be read; try again soon")
        return NOTHING

    def note(self, tenant: str, session: str | None, rates: dict[str, int], made: Made) -> None:
        """Count calls that were passed on."""
        if self._watch.is_up:
            self._runs.add(tenant, session, rates, made).add_done_callback(unheard)

    def wait(self, approval: Approval) -> None:
        """Let a person decide about a call that is being passed on."""
        added = self.approvals.add(approval)
        added.add_done_callback(lambda done: _tell_if_lost(done, approval))

    async def ping(self) -> None:
        await self._asks.ask(Command(("PING",)))

    async def _read(self, tenant: str, wanted: "_Wanted") -> Known | None:
        if not self._watch.is_up:
            return None
        try:
            return await self._runs.read(tenant, wanted.session, wanted.rates, wanted.ids)
        except StoreUnavailable as error:
            self._watch.failed(error)
            return None


@lru_cache(maxsize=256)
def guard_of(policy: GuardrailPolicy) -> ToolGuard:
    return ToolGuard.of(policy)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What has to be asked for a request."""

    session: str | None
    rates: dict[str, int]
    ids: tuple[str, ...]


def _wanted(call: Call, guard: ToolGuard) -> _Wanted | None:
    names = [name_of(tool) for tool in call.tools or ()] if guard.has_checks else []
    ids = asked_about(call.messages or ())[:MOST_ASKED] if guard.can_ask else ()
    rates = guard.rates(names)
    has_run = call.session is not None and bool(names)
    return _Wanted(call.session, rates, ids) if has_run or rates or ids else None


def _told(found: Known) -> ToolRun:
    said = {id_: one for id_, one in found.approvals.items() if one is not None}
    denied = next((id_ for id_, (s, _) in said.items() if s is ApprovalStatus.DENIED), None)
    if denied is not None:
        raise ApprovalDenied(
            f"the call '{denied}' was denied; leave it and its result out of 'messages' to go on",
            param="messages",
        )
    return ToolRun(
        approved=tuple(
            approval_of(id_, digest)
            for id_, (status, digest) in said.items()
            if status is ApprovalStatus.APPROVED
        ),
        is_tainted=found.is_tainted,
        calls_made=found.calls_made,
        rates_left=found.rates_left or None,
    )


def _tell_if_lost(done: asyncio.Future[int], approval: Approval) -> None:
    """It can never be approved then: the client has to ask for the call again."""
    error = None if done.cancelled() else done.exception()
    if done.cancelled() or error is not None or not done.result():
        log.warning(
            "approval_lost",
            approval=approval.id,
            tenant=approval.tenant,
            tool=approval.tool,
            reason="too many wait" if error is None else str(error),
        )


@asynccontextmanager
async def open_tool_runs(redis: Redis, *, timeout_s: float) -> AsyncIterator[ToolRuns]:
    """For as long as the process serves, on a connection of its own."""
    watch = StoreWatch()
    async with lane(redis, timeout_s=timeout_s) as own:
        runs = ToolRuns(own, watch)
        with bare_errors():
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(watch.run(runs.ping, lambda: None))
                try:
                    yield runs
                finally:
                    watcher.cancel()
                    await own.drain()
