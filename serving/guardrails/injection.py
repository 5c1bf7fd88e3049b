"""Finds attacks by rules: in a text, in what it looks like, and in what it decodes to."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from math import prod

from serving.contract.guardrails import UNTRUSTED, Stage
from serving.guardrails import (
    injection_languages,
    injection_personas,
    injection_rules,
    injection_untrusted,
)
from serving.guardrails.encodings import MAX_DEPTH, Decoded, decoded
from serving.guardrails.findings import Finding
from serving.guardrails.injection_rule import Rule
from serving.guardrails.normalise import View, folded, views
from serving.guardrails.patterns import Pattern, PatternSet

RULES = (
    *injection_rules.RULES,
    *injection_personas.RULES,
    *injection_untrusted.RULES,
    *injection_languages.RULES,
)
MAX_TEXTS = 24  # that one text may decode to, on all levels together
MAX_MATCHES = 100  # of one rule
HIDDEN_SCORE = 0.7
_MIN_HIDDEN = 4
_LOOK_BACK = 90  # characters before a match that may ask about it

_ASKING = re.compile(
    r"(?:\bhow (?:do|can|could|would|should|to|does|did)\b|\bwhy (?:do|does|did|is|are|would"
    r"|should)\b"
    r"|\bwhat (?:happens|does|is|are|do)\b|\bwhen (?:do|does|should)\b|\bis it (?:safe|ok|okay"
    r"|possible|bad)\b"
    r"|\bis there (?:a|any) way\b|\b(?:can|could|should|may|does) (?:i|we|one|it|they|git|python)\b"
    r"|\b(?:explain|describe|discuss|defin\w+|compare) (?:how|why|what|the)\b|\b(?:protect"
    r"|defend|prevent|detect"
    r"|mitigat\w+|guard)\w*\b|\bways to\b|\b(?:people|users|attackers?|hackers|someone|they|he"
    r"|she|child\w*|students)"
    r" (?:\w+ ){0,2}(?:can|could|may|might|try|tries|tried|who|often|will|would|to|ignor\w+"
    r"|bypass\w*)\b)"
    r"[^.!?\n]*$"
)  # fmt: skip
_DISCUSSED = re.compile(
    r"\b(?:prompt[ -]injections?|injection attacks?|jailbreaks?|jailbreaking|attacks?|attackers?"
    r"|adversarial"
    r"|phrases?|detect\w*|classif\w+|papers?|articles?|research\w*|means?|meaning|regex\w*"
    r"|titled?|lyrics?"
    r"|security|vulnerab\w+|what does|grammar|sentences?|moderation|threat|token(?:s|izer)?"
    r"|chat ?template"
    r"|special tokens?|documentation|docs)\b"
)
_QUOTES = "\"'`“”«»*"
_QUOTED, _ASKED = 0.4, 0.45  # what is left of a score
_TAG = re.compile("[\U000e0020-\U000e007e]+")
_FLAG = "\U0001f3f4"
_OVERRIDES = re.compile("[\u202d\u202e\u2066\u2067]")
_BETWEEN = re.compile(r"[A-Za-z][\u200b-\u200d\u2060\ufeff\u00ad]+(?=[A-Za-z])")


# Texts are folded when they meet a pattern, so it has to be written as they are then.
_SOURCES = [unicodedata.normalize("NFKC", rule.pattern) for rule in RULES]

OUTPUT_FORMS = tuple(f"(?i:{rule.pattern})" for rule in RULES if rule.in_output)


class Attacks:
    """The rules that count at a stage. Pure: keeps nothing of a text."""

    def __init__(self, stage: Stage) -> None:
        self._is_trusted = stage not in UNTRUSTED
        self._is_output = stage is Stage.OUTPUT
        self._scores = [_score(rule, stage) for rule in RULES]
        self._numbers = tuple(
            number for number, rule in enumerate(RULES) if rule.in_output or not self._is_output
        )

    def find(self, text: str) -> list[Finding]:
        """All signs, by where they stand in `text`; one may be found by several rules."""
        found = self._in_view(folded(text)) if self._is_output else self._everywhere(text)
        return sorted(found, key=lambda finding: (finding.begin, finding.end))

    def _everywhere(self, text: str) -> Iterator[Finding]:
        """In the text itself, and in all that it decodes to, level by level."""
        yield from hidden(text)
        level = [Decoded(text, 0, len(text), "")]
        left = MAX_TEXTS
        for depth in range(MAX_DEPTH + 1):
            deeper: list[Decoded] = []
            for part in level:
                for finding in self._in_views(part.text):
                    yield finding if depth == 0 else _at(part, finding)
                if depth < MAX_DEPTH and len(deeper) < left:
                    deeper += _placed(part, decoded(part.text), is_first=depth == 0)
            level = deeper[: max(0, left)]
            left -= len(level)

    def _in_views(self, text: str) -> Iterator[Finding]:
        for view in views(text):
            yield from self._in_view(view)

    def _in_view(self, view: View) -> Iterator[Finding]:
        for place in _set(self._numbers).matching(view.text):
            number = self._numbers[place]
            if self._scores[number]:
                yield from self._of_rule(number, view)

    def _of_rule(self, number: int, view: View) -> Iterator[Finding]:
        for count, (begin, end) in enumerate(_pattern(number).spans(view.text)):
            if count >= MAX_MATCHES:
                return
            left = _left(view.text, begin, end) if self._is_trusted else 1.0
            score = self._scores[number] * left
            yield Finding(RULES[number].family, *view.span(begin, end), score)


@lru_cache(maxsize=2)
def _set(numbers: tuple[int, ...]) -> PatternSet:
    """Trusted texts and others share theirs."""
    return PatternSet([_SOURCES[number] for number in numbers])


@lru_cache(maxsize=len(RULES))
def _pattern(number: int) -> Pattern:
    return Pattern(_SOURCES[number])


@lru_cache(maxsize=len(Stage))
def attacks_at(stage: Stage) -> Attacks:
    """The rules of a stage."""
    return Attacks(stage)


def combined(findings: Iterable[Finding]) -> float:
    """One score of many signs, each of which may be wrong on its own (noisy-or).

    Of a family only the strongest counts: its rules find much the same.
    """
    strongest: dict[str, float] = {}
    for finding in findings:
        strongest[finding.what] = max(finding.score, strongest.get(finding.what, 0.0))
    return 1 - prod(1 - score for score in strongest.values())


def hidden(text: str) -> list[Finding]:
    """Characters that no reader sees and that a model reads: tags, turned directions, splits."""
    if text.isascii():
        return []
    found = [
        Finding("hidden_text", *match.span(), HIDDEN_SCORE)
        for match in _TAG.finditer(text)
        if len(match[0]) >= _MIN_HIDDEN and not text.startswith(_FLAG, max(0, match.start() - 1))
    ]
    for pattern, score in ((_OVERRIDES, 0.25), (_BETWEEN, 0.3)):
        spans = [match.span() for match in pattern.finditer(text)]
        if len(spans) > 1:
            found.append(Finding("hidden_text", spans[0][0], spans[-1][1], score))
    return found


def _score(rule: Rule, stage: Stage) -> float:
    if stage is Stage.OUTPUT:
        return rule.untrusted if rule.in_output else 0.0
    return rule.untrusted if stage in UNTRUSTED else rule.score


def _left(text: str, begin: int, end: int) -> float:
    """How much of a score is left where one asks about it, or quotes it and talks about it."""
    before = text[max(0, begin - _LOOK_BACK) : begin + 1]
    if _ASKING.search(before[:-1] if before else before):
        return _ASKED
    is_quoted = any(q in _QUOTES for q in before[-3:]) and any(
        q in _QUOTES for q in text[end - 1 : end + 90]
    )
    if is_quoted and _DISCUSSED.search(
        text[max(0, begin - 400) : begin] + " " + text[end : end + 400]
    ):
        return _QUOTED
    return 1.0


def _at(part: Decoded, finding: Finding) -> Finding:
    """A finding in what was decoded stands where the encoded text does; hiding it adds to it."""
    return replace(finding, begin=part.begin, end=part.end, score=1 - (1 - finding.score) * 0.5)


def _placed(part: Decoded, parts: Iterable[Decoded], *, is_first: bool) -> list[Decoded]:
    """Decoded texts with their places in the first text."""
    if is_first:
        return list(parts)
    return [replace(deeper, begin=part.begin, end=part.end) for deeper in parts]
