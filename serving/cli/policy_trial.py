"""A guardrail policy tried on texts, in this process: what each comes to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.contract.guardrails import (
    MEANING,
    Action,
    Check,
    CheckKind,
    GuardrailPolicy,
    Stage,
    Verdict,
    strongest,
)
from serving.guardrails.examine import Guard
from serving.guardrails.meaning import classifier, is_read, judged, topic_scores
from serving.guardrails.meaning_windows import Passage, Window, windows
from serving.guardrails.tools.calls import ToolCall
from serving.guardrails.tools.guard import ToolGuard
from serving.guardrails.tools.run import Run
from serving.guardrails.wire import named, sealed

Embed = Callable[[Sequence[str]], Any]  # unit vectors [texts, 384]


@dataclass(frozen=True, slots=True)
class Tried:
    """One text. Of a call `text` are the arguments of `tool`, and an untrusted text may have come
    before it.
    """

    text: str
    stage: Stage = Stage.INPUT
    tool: str | None = None
    is_tainted: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a text came to, and the text as it is after it."""

    tried: Tried
    verdicts: tuple[Verdict, ...]
    text: str

    @property
    def action(self) -> Action:
        return strongest(self.verdicts)


@dataclass(slots=True)
class Trial:
    """Without `embed` checks by meaning are left out."""

    policy: GuardrailPolicy
    embed: Embed | None = None
    _guard: Guard = field(init=False)
    _tools: ToolGuard = field(init=False)
    _version: str = field(init=False)

    def __post_init__(self) -> None:
        """Raises InvalidRequest for what cannot be compiled."""
        self._version = named(sealed(self.policy).reference)
        self._guard = Guard.of(self.policy, self._version)
        self._tools = ToolGuard.of(self.policy, self._version)

    def of(self, tried: Tried) -> Result:
        examined = self._guard.examine(tried.text, tried.stage)
        by_meaning = tuple(self._by_meaning(examined.text, tried.stage))
        return Result(
            tried, (*self._of_call(tried), *examined.verdicts, *by_meaning), examined.text
        )

    def _of_call(self, tried: Tried) -> tuple[Verdict, ...]:
        if tried.tool is None or tried.stage is not Stage.TOOL_CALL:
            return ()
        call = ToolCall(tried.tool, tried.text)
        return self._tools.judge(call, None, Run(is_tainted=tried.is_tainted))

    def _by_meaning(self, text: str, stage: Stage) -> Iterator[Verdict]:
        checks = [c for c in self.policy.checks if c.kind in MEANING and is_read(c, stage)]
        found = windows([Passage(text, stage)]) if checks and self.embed is not None else ()
        if not found:
            return
        assert self.embed is not None
        vectors = self.embed([window.text for window in found])
        for check in checks:
            yield from judged(check, self._version, found, self._scores(check, found, vectors))

    def _scores(self, check: Check, found: Sequence[Window], vectors: Any) -> Any:
        if check.kind is CheckKind.CLASSIFIER:
            return classifier().scores(vectors, found)
        assert self.embed is not None
        return topic_scores(vectors, self.embed(check.phrases))


def needs_meaning(policy: GuardrailPolicy) -> bool:
    return any(check.kind in MEANING for check in policy.checks)
