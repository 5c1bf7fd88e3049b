"""Checks an answer while it is written: only what may still become a match is held back."""

from dataclasses import dataclass

from serving.contract.guardrails import Action, Stage, Verdict
from serving.guardrails.examine import Examination, Guard
from serving.guardrails.placeholders import Placeholders

MAX_HELD = 4096  # characters; a match that is longer may be missed
_KEPT = 128  # of both ends of what is longer than that, and still goes on


@dataclass(frozen=True, slots=True)
class Released:
    """Text that may be shown. After a block nothing will follow."""

    text: str = ""
    verdicts: tuple[Verdict, ...] = ()
    is_blocked: bool = False


NOTHING = Released()
_BLOCKED = Released(is_blocked=True)


class OutputFilter:
    """One answer. What it shows in all is what the checks leave of the whole answer; if one blocks,
    what stands before the place that it blocks."""

    def __init__(self, guard: Guard, placeholders: Placeholders) -> None:
        self._checks = guard.checks_at(Stage.OUTPUT)
        self._version = guard.version
        self._placeholders = placeholders
        self._tail = guard.tail
        self._held = ""
        self._before = ""  # the character before it
        self._begin = 0  # where it begins in the answer
        self._is_blocked = False

    @classmethod
    def of(cls, guard: Guard, placeholders: Placeholders | None = None) -> "OutputFilter | None":
        """None if the policy has no checks by rule of answers."""
        if not guard.checks_at(Stage.OUTPUT):
            return None
        return cls(guard, placeholders or Placeholders())

    @property
    def is_holding(self) -> bool:
        """Whether there is text that is not shown yet."""
        return bool(self._held)

    def push(self, text: str) -> Released:
        """What is certain now that `text` followed."""
        if self._is_blocked:
            return _BLOCKED
        self._held += text
        at = self._certain()
        return self._release(at) if at > 0 else NOTHING

    def end(self) -> Released:
        """What is left when nothing will follow."""
        if self._is_blocked:
            return _BLOCKED
        return self._release(len(self._held)) if self._held else NOTHING

    def give_up(self) -> str:
        """What was held back, unread: for where a check has failed and that lets texts through."""
        held, self._held = self._held, ""
        self._before, self._begin = held[-1:] or self._before, self._begin + len(held)
        return held

    def _certain(self) -> int:
        held = self._held
        at, is_open = self._tail.certain(held)
        if len(held) - at > MAX_HELD:
            return self._forced()
        return self._before_spans(at) if is_open and at else at

    def _before_spans(self, at: int) -> int:
        """A match that is whole may reach into what may become another one: it stays in a piece,
        with all that made it one."""
        run = self._examination(self._held, "", Placeholders())
        run.all(self._checks)
        for begin, end in sorted(run.spans, reverse=True):
            if begin <= at < end:
                at = min(begin, self._tail.certain(self._held[:end])[0])
        return at

    def _forced(self) -> int:
        """Too much is held: half of it goes, or all before a match that has no end yet."""
        at = len(self._held) - MAX_HELD // 2
        before = self._before_spans(at)
        if before == 0:
            self._shorten()
        return before

    def _shorten(self) -> None:
        """What is inside of a match that goes on and on does not matter."""
        self._held = self._held[:_KEPT] + self._held[-_KEPT:]

    def _release(self, at: int) -> Released:
        part, rest = self._held[:at], self._held[at:]
        run = self._examination(part, rest[:1], self._placeholders)
        run.all(self._checks)
        self._held = rest
        self._before, self._begin = part[-1:], self._begin + at
        blocked = [
            v.begin for v in run.verdicts if v.action is Action.BLOCK and v.begin is not None
        ]
        if not blocked:
            return Released(run.redaction.text, tuple(run.verdicts))
        self._is_blocked, self._held = True, ""
        text = run.redaction.until(min(blocked) - run.begin)
        return Released(text, tuple(run.verdicts), is_blocked=True)

    def _examination(self, part: str, after: str, placeholders: Placeholders) -> Examination:
        return Examination(
            part,
            Stage.OUTPUT,
            placeholders,
            version=self._version,
            before=self._before,
            after=after,
            begin=self._begin,
        )
