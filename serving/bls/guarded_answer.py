"""One sequence's answer on its way out: what of it may be shown, and whether it has to end."""

from collections.abc import Sequence
from dataclasses import replace

from serving.bls.guarded_calls import GuardedCalls, Note
from serving.bls.guards import Compiled
from serving.contract.calls import Chunk, FinishReason, TokenLogprob
from serving.contract.tools import Tool
from serving.guardrails.placeholders import Placeholders
from serving.guardrails.stream import OutputFilter
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
    ) -> None:
        self._content = OutputFilter.of(compiled.guard, placeholders)
        self._reasoning = OutputFilter.of(compiled.guard, placeholders)
        is_restored = compiled.policy.is_reversible
        self._restoring = placeholders.restoring() if is_restored else None
        restore = placeholders.restore if is_restored else None
        self._calls = GuardedCalls(compiled, tools, run, note, restore) if tools else None
        self._note = note
        self._logprobs: tuple[TokenLogprob, ...] = ()
        self._has_redacted = False
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
        text = self._restored(self._read(self._content, chunk.text, is_last=is_last), is_last)
        reasoning = self._read(self._reasoning, chunk.reasoning, is_last=is_last)
        logprobs = self._released(chunk.logprobs, is_last=is_last)
        chunk = replace(chunk, text=text, reasoning=reasoning, logprobs=logprobs)
        chunk = self._with_calls(chunk, is_last=is_last)
        return (
            replace(chunk, finish_reason=FinishReason.CONTENT_FILTER) if self.is_blocked else chunk
        )

    def _read(self, filter_: OutputFilter | None, text: str, *, is_last: bool) -> str:
        if filter_ is None or self.is_blocked:
            return "" if self.is_blocked else text
        released = filter_.push(text)
        shown, verdicts = released.text, released.verdicts
        if is_last and not released.is_blocked:
            released = filter_.end()
            shown, verdicts = shown + released.text, verdicts + released.verdicts
        self._note(verdicts)
        self._has_redacted |= any(verdict.action == "redact" for verdict in verdicts)
        self.is_blocked |= released.is_blocked
        return shown

    def _restored(self, text: str, is_last: bool) -> str:
        if self._restoring is None:
            return text
        text = self._restoring.push(text)
        return text + self._restoring.end() if is_last or self.is_blocked else text

    def _released(
        self, logprobs: tuple[TokenLogprob, ...], *, is_last: bool
    ) -> tuple[TokenLogprob, ...]:
        if self._content is None:
            return logprobs
        held = self._logprobs + logprobs
        if self._content.is_holding and not (is_last or self.is_blocked):
            self._logprobs = held
            return ()
        self._logprobs = ()
        is_told, self._has_redacted = not (self._has_redacted or self.is_blocked), False
        return held if is_told else ()

    def _with_calls(self, chunk: Chunk, *, is_last: bool) -> Chunk:
        if self._calls is None or self.is_blocked:
            return replace(chunk, tool_calls=()) if self.is_blocked else chunk
        passed = self._calls.push(chunk.tool_calls)
        if is_last:
            passed += self._calls.end()
        self.is_blocked = self._calls.is_blocked
        return replace(chunk, tool_calls=passed)
