"""Finds phrases, however they are disguised, and patterns of the operator."""

from collections.abc import Sequence

from serving.contract.errors import InvalidRequest
from serving.guardrails.findings import Finding
from serving.guardrails.normalise import View, folded, latin
from serving.guardrails.patterns import Pattern, PatternSet

MAX_GAP = 8  # blanks between the words of a phrase


class Words:
    """Phrases match whole words in any case, with accents or without, in letters that look alike.

    Patterns are RE2's and meet the text as it is, in any case. Raises InvalidRequest that names a
    pattern that RE2 does not take, or a phrase of nothing.
    """

    def __init__(self, phrases: Sequence[str] = (), patterns: Sequence[str] = ()) -> None:
        sources = [_phrase(phrase) for phrase in phrases]
        self._phrases = [Pattern(source) for source in sources]
        self._phrase_set = PatternSet(sources)
        self._patterns = [Pattern(source, is_case_sensitive=False) for source in patterns]
        self._pattern_set = PatternSet(patterns, is_case_sensitive=False)
        self.phrase_forms = tuple(sources)
        self.pattern_forms = tuple(patterns)

    def find(self, text: str, before: str = "", after: str = "") -> list[Finding]:
        """Phrases and matches in `text`, in order; where two overlap, they are one.

        Patterns see what is `before` and `after` it, too: borders of words, lines and the text.
        """
        found = self._of_phrases(text) if self._phrases else []
        found += self._of_patterns(text, before, after) if self._patterns else []
        return _merged(found)

    def _of_patterns(self, text: str, before: str, after: str) -> list[Finding]:
        around = f"{before}{text}{after}"
        shift = len(before)
        return [
            Finding("pattern", begin - shift, end - shift)
            for number in self._pattern_set.matching(around)
            for begin, end in self._patterns[number].spans(around, shift)
            if end - shift <= len(text)
        ]

    def _of_phrases(self, text: str) -> list[Finding]:
        view = seen(text)
        return [
            Finding("phrase", *view.span(begin, end))
            for number in self._phrase_set.matching(view.text)
            for begin, end in self._phrases[number].spans(view.text)
            if _is_apart(view.text, begin) and _is_apart(view.text, end)
        ]


def seen(text: str) -> View:
    """A text as phrases meet it."""
    return latin(folded(text))


def _phrase(phrase: str) -> str:
    words = seen(phrase).text.split()
    if not words:
        raise InvalidRequest(f"phrase {phrase!r} has no word in it", param="phrases")
    return rf"\s{{1,{MAX_GAP}}}".join(map(_escaped, words))


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() or ord(c) > 127 else f"\\{c}" for c in word)


def _is_apart(text: str, at: int) -> bool:
    """Whether a word does not go on from before `at` to after it."""
    return not (0 < at < len(text) and _joins(text[at - 1]) and _joins(text[at]))


def _joins(character: str) -> bool:
    """Letters of scripts that set words apart: Latin to Cyrillic; and digits."""
    return (character.isalnum() or character == "_") and ord(character) < 0x530


def _merged(found: list[Finding]) -> list[Finding]:
    merged: list[Finding] = []
    for finding in sorted(found, key=lambda finding: (finding.begin, -finding.end)):
        if merged and finding.begin < merged[-1].end:
            last = merged[-1]
            merged[-1] = Finding(last.what, last.begin, max(last.end, finding.end))
        else:
            merged.append(finding)
    return merged
