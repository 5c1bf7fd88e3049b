"""Note: the calls of tools that an answer passes on to its client."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from gateway.ask import Ask
from gateway.stages.tool_runs import ToolRuns, guard_of
from serving.adapters.tool_runs import Made
from serving.contract.approvals import MAX_ARGUMENTS, Approval, is_ask_id
from serving.contract.calls import Chunk
from serving.contract.guardrails import GuardrailPolicy
from serving.contract.principal import Principal
from serving.contract.tools import ToolCallDelta
from serving.guardrails.tools.calls import ToolCall
from serving.guardrails.tools.guard import ToolGuard
from serving.guardrails.tools.run import has_untrusted


class PassedOn:
    """The calls of one answer on their way to the client."""

    def __init__(self, runs: ToolRuns, principal: Principal, ask: Ask, guard: ToolGuard) -> None:
        self._runs = runs
        self._principal = principal
        self._ask = ask
        self._guard = guard
        self._calls: Counter[str] = Counter()

    async def watched(self, chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        """Each of `chunks`, once it was seen."""
        async for chunk in chunks:
            self.saw(chunk)
            yield chunk

    def saw(self, chunk: Chunk) -> None:
        """Before the chunk goes on: who decides hears of a call no later than its client."""
        for delta in chunk.tool_calls:
            if delta.name is None or (self._ask.is_one_call and delta.index):
                continue
            self._calls[delta.name] += 1
            if is_ask_id(delta.id):
                self._runs.wait(self._approval(delta))

    def end(self) -> None:
        call, tenant = self._ask.calls[0], self._principal.tenant or ""
        is_tainted = call.session is not None and has_untrusted(call.messages or ())
        if self._calls or is_tainted:
            rates = self._guard.rates(self._calls)
            self._runs.note(tenant, call.session, rates, Made(self._calls, is_tainted))

    def _approval(self, delta: ToolCallDelta) -> Approval:
        """Such a call comes in one piece."""
        call = ToolCall(delta.name or "", delta.arguments, delta.id)
        return Approval(
            id=delta.id or "",
            tenant=self._principal.tenant or "",
            project=self._principal.project or "",
            principal=self._principal.id,
            tool=call.name,
            arguments=call.arguments[:MAX_ARGUMENTS],
            is_cut=len(call.arguments) > MAX_ARGUMENTS,
            digest=call.digest,
            created_at=time.time(),
            session=self._ask.calls[0].session,
        )


@contextmanager
def passing_on(
    runs: ToolRuns | None, principal: Principal, ask: Ask, policy: GuardrailPolicy
) -> Iterator[PassedOn | None]:
    """What is seen within the block is noted, also of an answer that broke off.

    None where there is nothing to note: no store, no tools, or a policy that says nothing of calls.
    """
    guard = guard_of(policy)
    if runs is None or not guard.has_checks or not ask.calls[0].tools:
        yield None
        return
    passed = PassedOn(runs, principal, ask, guard)
    try:
        yield passed
    finally:
        passed.end()
