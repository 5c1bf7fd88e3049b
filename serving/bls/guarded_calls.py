"""The calls of one answer on their way out: judged once they are whole, held until then or not."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from serving.bls.guards import Compiled
from serving.contract.approvals import new_ask_id
from serving.contract.guardrails import (
    Action,
    OnFailure,
    Stage,
    Verdict,
    blocking,
    strongest,
)
from serving.contract.tools import Tool, ToolCallDelta, name_of
from serving.guardrails.redact import with_texts
from serving.guardrails.tools.arguments import read
from serving.guardrails.tools.calls import ToolCall
from serving.guardrails.tools.run import Run

Note = Callable[[Iterable[Verdict]], None]


class GuardedCalls:
    """`is_blocked` once a call may not be made: nothing of it or of what follows goes out.

    A call that needs approval goes out under an id that says so. `restore` puts back into arguments
    what was redacted in the prompt; None: nothing is put back.
    """

    def __init__(
        self,
        compiled: Compiled,
        tools: Sequence[Tool],
        run: Run,
        note: Note,
        failed: Callable[[Exception], None],
        restore: Callable[[str], str] | None = None,
    ) -> None:
        self._compiled = compiled
        self._schemas: Mapping[str, Mapping[str, object] | None] = {
            name_of(tool): tool["function"].get("parameters") for tool in tools
        }
        self._run = run
        self._note = note
        self._failed = failed
        self._restore = restore
        self._open: ToolCallDelta | None = None
        self._is_held = False
        self.is_blocked = False

    def push(self, deltas: Iterable[ToolCallDelta]) -> tuple[ToolCallDelta, ...]:
        """What of `deltas`, and of what was held before them, may go out now."""
        passed: list[ToolCallDelta] = []
        for delta in deltas:
            if self._open is None or delta.index != self._open.index:
                passed += self.end()
                self._begin(delta)
            if self.is_blocked:
                break
            passed += self._passed(delta)
        return tuple(passed)

    def end(self) -> tuple[ToolCallDelta, ...]:
        """What is left of the last call, which is whole or will never be."""
        held, self._open = self._open, None
        if held is None or self.is_blocked:
            return ()
        held = replace(held, arguments=self._restored(held.arguments))
        call = ToolCall(held.name or "", held.arguments, held.id)
        action = self._action(call, held.index)
        self.is_blocked = action is Action.BLOCK
        self._run = self._run.after(call)
        if self.is_blocked or not self._is_held:
            return ()
        return (replace(held, id=new_ask_id()) if action is Action.ASK else self._rest(held),)

    def _begin(self, delta: ToolCallDelta) -> None:
        self._open = replace(delta, arguments="")
        self._is_held = self._restore is not None or self._compiled.tools.needs_arguments(
            delta.name or "", is_tainted=self._run.is_tainted
        )

    def _passed(self, delta: ToolCallDelta) -> tuple[ToolCallDelta, ...]:
        before = self._open
        assert before is not None
        self._open = replace(before, arguments=before.arguments + delta.arguments)
        if not self._is_held:
            return (delta,)
        # Announced, unless its id is not known before it is judged.
        is_announced = delta.name is not None and not self._compiled.tools.can_ask
        return (replace(delta, arguments=""),) if is_announced else ()

    def _restored(self, arguments: str) -> str:
        """What is put back stays within its text: it adds no argument to the others."""
        found = None if self._restore is None else read(arguments)
        if self._restore is None or found is None:
            return arguments
        restored = with_texts(found, self._restore)
        return arguments if restored == found else json.dumps(restored, ensure_ascii=False)

    def _rest(self, held: ToolCallDelta) -> ToolCallDelta:
        if self._compiled.tools.can_ask:
            return held
        return ToolCallDelta(held.index, arguments=held.arguments)

    def _action(self, call: ToolCall, place: int) -> Action:
        try:
            verdicts = self._judged(call, place)
        except Exception as error:
            self._failed(error)
            is_closed = self._compiled.policy.on_failure is OnFailure.CLOSED
            return Action.BLOCK if is_closed else Action.ALLOW
        self._note(verdicts)
        return strongest(verdicts)

    def _judged(self, call: ToolCall, place: int) -> tuple[Verdict, ...]:
        said = self._compiled.tools.judge(
            call, self._schemas.get(call.name), self._run, place=place
        )
        text = _as_read(call.arguments)
        examined = self._compiled.guard.examine(text, Stage.TOOL_CALL, place=place)
        return said + tuple(map(blocking, examined.verdicts))


def _as_read(arguments: str) -> str:
    r"""As a program reads them: what JSON writes as \u0041 is an A."""
    found = read(arguments) if "\\" in arguments else None
    return arguments if found is None else json.dumps(found, ensure_ascii=False)
