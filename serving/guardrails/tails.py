"""How much of an unfinished text is certain: no more text can make its end a match of a check."""

import string
from collections.abc import Iterable, Sequence

from serving.contract.errors import InvalidRequest
from serving.guardrails.beginnings import ANYTHING, beginnings
from serving.guardrails.patterns import Pattern
from serving.guardrails.rule_checks import RuleCheck
from serving.guardrails.words import seen

# What words, numbers and addresses are made of, and what cannot be seen: two of them side by side
# belong together, whatever is looked for, so a text is cut behind other characters alone.
_SIGNS = ".,%+@:/=~#&([\\$^_*-"
_RANGES = (
    ("À", "ӿ"),
    ("\u200b", "\u200f"),
    ("\u202a", "\u202e"),
    ("\u2060", "\u206f"),
    ("\ufe00", "\ufe0f"),
    ("\ufeff", "\ufeff"),
    ("\U000e0000", "\U000e01ef"),
)
_RUN = (
    string.ascii_letters
    + string.digits
    + _SIGNS
    + "".join(chr(code) for first, last in _RANGES for code in range(ord(first), ord(last) + 1))
)
_RUN_CLASS = (
    "0-9A-Za-z"
    + "".join(sign if sign == "_" else f"\\{sign}" for sign in _SIGNS)
    + "".join(f"{first}-{last}" for first, last in _RANGES)
)


class Tail:
    """Of the checks of one stage. Pure."""

    def __init__(self, checks: Iterable[RuleCheck]) -> None:
        checks = tuple(checks)
        forms = dict.fromkeys(form for check in checks for form in check.forms)
        phrases = dict.fromkeys(form for check in checks for form in check.phrase_forms)
        of_phrases = [beginnings(f"(?i:{form})", _RUN_CLASS) for form in phrases]
        of_forms = [beginnings(form, _RUN_CLASS) for form in forms]
        self._any = _at_end([*of_forms, *of_phrases])
        self._phrases = _at_end(of_phrases)

    def certain(self, text: str) -> tuple[int, bool]:
        """How many characters are, and whether more than the last word is not."""
        run = len(text.rstrip(_RUN))
        if run == 0:
            return 0, False
        at = _first(self._any, text, run)
        if not text.isascii():
            at = min(at, self._certain_as_seen(text))
        return at, at < run

    def _certain_as_seen(self, text: str) -> int:
        """The same of the text without disguise, where phrases are looked for."""
        view = seen(text)
        run = len(view.text.rstrip(_RUN))
        return view.place(_first(self._phrases, view.text, run))


def _first(pattern: Pattern | None, text: str, run: int) -> int:
    span = None if pattern is None else pattern.first(text)
    if span is None or span[0] >= run:
        return run
    return len(text[: span[0]].rstrip(_RUN))


def _at_end(parts: Sequence[str]) -> Pattern | None:
    """None if there are none; patterns that are too large together may begin anywhere."""
    if not parts:
        return None
    try:
        return Pattern(rf"(?:{'|'.join(parts)})\z")
    except InvalidRequest:
        return Pattern(rf"(?:{ANYTHING})\z")
