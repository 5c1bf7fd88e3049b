"""One sequence's answer on its way out: what of it may be shown, and whether it has to end."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from serving.bls.guarded_calls import GuardedCalls, Note
from serving.bls.guards import Compiled
from serving.bls.held_logprobs import HeldLogprobs, Logprobs
from serving.contract.calls import Chunk, FinishReason
from serving.contract.guardrails import Action, OnFailure
from serving.contract.tools import Tool
from serving.guardrails.placeholders import Placeholders, Restoring
from serving.guardrails.stream import OutputFilter, Released
from serving.guardrails.tools.run import Run


class GuardedAnswer:
    """Chunks in, chunks out. A block ends it with `content_filter`, and nothing follows.

    While text is held back, so are the log-probabilities that came with it; those of a text in
    which something was redacted never go out.
    """

    def __init__(
        self,
        compiled: Compiled,
        tools: Sequence[Tool],
        run: Run,
        placeholders: Placeholders,
        note: Note,
        failed: Callable[[Exception], None],
    ) -> None:
        self._is_closed = compiled.policy.on_failure is OnFailure.CLOSED
        self._content = OutputFilter.of(compiled.guard, placeholders)
        self._reasoning = OutputFilter.of(compiled.guard, placeholders)
        is_restored = compiled.policy.is_reversible
        self._restoring = placeholders.restoring() if is_restored else None
        self._thought = placeholders.restoring() if is_restored else None
        restore = placeholders.restore if is_restored else None
        self._calls = GuardedCalls(compiled, tools, run, note, failed, restore) if tools else None
        self._note = note
        self._failed = failed
        self._logprobs = HeldLogprobs()
        self.is_blocked = False

    @property
    def is_idle(self) -> bool:
        """Whether it lets everything through as it comes."""
        return self._content is None and self._calls is None and self._restoring is None

    def push(self, chunk: Chunk) -> Chunk:
        """What may be shown of `chunk` and of what was held before it."""
        if self.is_idle:
            return chunk
        is_last = chunk.finish_reason is not None
        # Nothing is thought any more once something is said.
        is_thought = is_last or bool(chunk.text)
        reasoning = self._read(self._reasoning, chunk.reasoning, is_last=is_thought)
        reasoning = self._restored(self._thought, reasoning, is_last=is_thought)
        text = self._read(self._content, chunk.text, is_last=is_last)
        text = self._restored(self._restoring, text, is_last=is_last)
        logprobs = self._released(chunk.logprobs, is_last=is_last)
        chunk = replace(chunk, text=text, reasoning=reasoning, logprobs=logprobs)
        chunk = self._with_calls(chunk, is_last=is_last)
        return (
            replace(chunk, finish_reason=FinishReason.CONTENT_FILTER) if self.is_blocked else chunk
        )

    def _read(self, filter_: OutputFilter | None, text: str, *, is_last: bool) -> str:
        if filter_ is None or self.is_blocked:
            return "" if self.is_blocked else text
        shown = self._filtered(filter_, partial(filter_.push, text))
        if is_last and not self.is_blocked:
            shown += self._filtered(filter_, filter_.end)
        return shown

    def _filtered(self, filter_: OutputFilter, release: Callable[[], Released]) -> str:
        try:
            released = release()
        except Exception as error:
            self._failed(error)
            self.is_blocked = self._is_closed
            return "" if self._is_closed else filter_.give_up()
        self._note(released.verdicts)
        self._logprobs.is_spoilt |= any(v.action is Action.REDACT for v in released.verdicts)
        self.is_blocked |= released.is_blocked
        return released.text

    def _restored(self, restoring: Restoring | None, text: str, *, is_last: bool) -> str:
        if restoring is None:
            return text
        text = restoring.push(text)
        return text + restoring.end() if is_last or self.is_blocked else text

    def _released(self, logprobs: Logprobs, *, is_last: bool) -> Logprobs:
        if self._content is None:
            return logprobs
        self._logprobs.is_spoilt |= self.is_blocked
        is_over = is_last or self.is_blocked
        return self._logprobs.push(logprobs, is_holding=self._content.is_holding and not is_over)

    def _with_calls(self, chunk: Chunk, *, is_last: bool) -> Chunk:
        if self._calls is None or self.is_blocked:
            return replace(chunk, tool_calls=()) if self.is_blocked else chunk
        passed = self._calls.push(chunk.tool_calls)
        if is_last:
            passed += self._calls.end()
        self.is_blocked = self._calls.is_blocked
        return replace(chunk, tool_calls=passed)
