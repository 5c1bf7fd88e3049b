"""Runs a policy's checks by rule on a text: verdicts, and the text with what is to go replaced.

Checks by meaning and checks of calls are run by others; here they are skipped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from serving.contract.guardrails import (
    Action,
    Check,
    CheckKind,
    GuardrailPolicy,
    Stage,
    Verdict,
    strongest,
)
from serving.guardrails.findings import Finding
from serving.guardrails.injection import attacks_at, combined
from serving.guardrails.placeholders import Placeholders
from serving.guardrails.redaction import Edit, Redaction, Span
from serving.guardrails.rule_checks import RuleCheck, rule_check
from serving.guardrails.tails import Tail

MAX_VERDICTS = 50  # of one check about one text; all that is found is redacted all the same
_MIN_SIGN = 0.2  # what is redacted as an attack: not the words that merely add to the score
_BACK, _ON = 300, 1000  # characters: how far an instruction reaches around what gave it away
_ENDS = ".!?\n"


@dataclass(frozen=True, slots=True)
class Examined:
    """`text` is redacted as the policy says; `action` is the strongest of the verdicts."""

    text: str
    verdicts: tuple[Verdict, ...] = ()
    action: Action = Action.ALLOW

    @property
    def is_blocked(self) -> bool:
        return self.action is Action.BLOCK


class Guard:
    """A policy's checks by rule, compiled. Pure, so it may be shared."""

    def __init__(self, policy: GuardrailPolicy, version: str) -> None:
        self.policy = policy
        self.version = version
        checks = [compiled for check in policy.checks if (compiled := rule_check(check))]
        self._at = {stage: [c for c in checks if stage in c.stages] for stage in Stage}

    @classmethod
    def of(cls, policy: GuardrailPolicy, version: str = "") -> "Guard":
        """`version` is how verdicts name the policy; its id if there is none.

        Raises InvalidRequest that names what cannot be compiled.
        """
        return cls(policy, version or policy.id)

    def checks_at(self, stage: Stage) -> Sequence[RuleCheck]:
        """The checks by rule that run at `stage`, in order."""
        return self._at[stage]

    @cached_property
    def tail(self) -> Tail:
        """How an answer is held back."""
        return Tail(self._at[Stage.OUTPUT])

    def kinds_at(self, stage: Stage) -> frozenset[CheckKind]:
        """The kinds of checks by rule that run at `stage`."""
        return frozenset(check.kind for check in self._at[stage])

    def examine(
        self,
        text: str,
        stage: Stage,
        *,
        place: int | None = None,
        placeholders: Placeholders | None = None,
    ) -> Examined:
        """What the checks of `stage` come to. Texts of one request share their placeholders."""
        if not self._at[stage]:
            return Examined(text)
        run = Examination(text, stage, placeholders or Placeholders(), place, self.version)
        run.all(self._at[stage])
        return run.examined()


class Examination:
    """One text on its way through the checks: each sees what the ones before have left of it.

    Of a text in parts, `before` and `after` are the characters next to this one, and `begin` is
    where it begins.
    """

    def __init__(
        self,
        text: str,
        stage: Stage,
        placeholders: Placeholders,
        place: int | None = None,
        version: str = "",
        *,
        before: str = "",
        after: str = "",
        begin: int = 0,
    ) -> None:
        self.redaction = Redaction(text)
        self.verdicts: list[Verdict] = []
        self.spans: list[Span] = []  # of all that was found, in the original
        self.stage, self.begin = stage, begin
        self.before, self.after = before, after
        self._placeholders = placeholders
        self._place, self._version = place, version
        self._attacks: tuple[str, list[Finding]] | None = None
        if stage is not Stage.OUTPUT:
            placeholders.avoid(text)

    def all(self, checks: Iterable[RuleCheck]) -> None:
        """Runs them in order. One that blocks does not end it: what else is found is redacted."""
        for check in checks:
            if check.kind is CheckKind.INJECTION:
                self._judge_attacks(check.check)
            else:
                text = self.redaction.text
                self._judge(check.check, check.find(text, self.before, self.after, self.begin))

    def examined(self) -> Examined:
        return Examined(self.redaction.text, tuple(self.verdicts), strongest(self.verdicts))

    def _judge(self, check: Check, found: Sequence[Finding]) -> None:
        placed = self._placed(found)
        self.verdicts += [self._verdict(check, f, f.score) for f in placed[:MAX_VERDICTS]]
        if check.action is Action.REDACT:
            self._redact(check.kind, placed)

    def _judge_attacks(self, check: Check) -> None:
        """All signs together count against the threshold; the verdict names the strongest."""
        found = self._found_attacks()
        score = combined(found)
        if not found or score < (0.5 if check.threshold is None else check.threshold):
            return
        if check.action is Action.REDACT:
            signs = [f for f in found if f.score >= _MIN_SIGN] or found
            self._judge(check, self._widened(signs))
            return
        strongest = max(found, key=lambda finding: finding.score)
        placed = self._placed([strongest])
        self.verdicts += [self._verdict(check, f, score) for f in placed]

    def _found_attacks(self) -> list[Finding]:
        """Two checks with two thresholds look only once."""
        text = self.redaction.text
        if self._attacks is None or self._attacks[0] != text:
            self._attacks = text, attacks_at(self.stage).find(text)
        return self._attacks[1]

    def _widened(self, found: Sequence[Finding]) -> list[Finding]:
        """What was found is a part of an instruction: the rest of its sentence and line goes, too.

        An answer comes in parts: of it only what was found.
        """
        if self.stage is Stage.OUTPUT:
            return _apart(found)
        return _apart([_widened(self.redaction.text, finding) for finding in found])

    def _placed(self, found: Iterable[Finding]) -> list[Finding]:
        """In places of the original; what is found in a placeholder of ours is nothing."""
        placed = []
        for finding in found:
            span = self.redaction.origin(finding.begin, finding.end)
            if span is not None:
                placed.append(Finding(finding.what, *span, finding.score))
        self.spans += [(finding.begin, finding.end) for finding in placed]
        return placed

    def _redact(self, kind: CheckKind, placed: Sequence[Finding]) -> None:
        if placed:
            edits = [Edit(f.begin, f.end, self._replacement(kind, f)) for f in placed]
            self.redaction.replace(edits)

    def _replacement(self, kind: CheckKind, finding: Finding) -> str:
        if kind is CheckKind.SIZE:
            return ""
        of_text = kind in (CheckKind.PERSONAL, CheckKind.SECRETS)
        what = finding.what if of_text else str(kind)
        value = self.redaction.original[finding.begin : finding.end]
        is_restored = self.stage is not Stage.OUTPUT and kind is not CheckKind.INJECTION
        return self._placeholders.of(what, value, is_restored=is_restored)

    def _verdict(self, check: Check, finding: Finding, score: float) -> Verdict:
        action = check.action
        if action is Action.ASK and self.stage is not Stage.TOOL_CALL:
            action = Action.BLOCK
        return Verdict(
            check.name or str(check.kind),
            self.stage,
            action,
            round(score, 4),
            self._version,
            finding.what,
            self._place,
            self.begin + finding.begin,
            self.begin + finding.end,
        )


def _widened(text: str, finding: Finding) -> Finding:
    begin, end = finding.begin, finding.end
    while begin > max(0, finding.begin - _BACK) and text[begin - 1] not in _ENDS:
        begin -= 1
    line_end = text.find("\n", end, end + _ON)
    end = line_end if line_end >= 0 else min(len(text), end + _ON)
    return Finding(finding.what, begin, end, finding.score)


def _apart(found: Iterable[Finding]) -> list[Finding]:
    """Findings that overlap, as one that is called as the strongest of them."""
    apart: list[Finding] = []
    for finding in sorted(found, key=lambda finding: finding.begin):
        if apart and finding.begin < apart[-1].end:
            last = apart.pop()
            strongest = max(last, finding, key=lambda one: one.score)
            end = max(last.end, finding.end)
            finding = Finding(strongest.what, last.begin, end, strongest.score)
        apart.append(finding)
    return apart
