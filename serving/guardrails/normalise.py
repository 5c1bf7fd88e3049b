"""Texts as a reader or a model takes them: without disguise, and with the way back.

A view is a text beside the original; its positions say where each character comes from.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from serving.guardrails.confusables import (
    INVISIBLE,
    LETTER_BLOCKS,
    LOOKALIKES,
    PUNCTUATION,
    TAG_SHIFT,
    TAGS,
)
from serving.guardrails.patterns import PatternSet

Span = tuple[int, int]

_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_LATIN_TO_CYRILLIC = range(0x80, 0x530)
_LATIN_AND_GREEK = range(0x1E00, 0x2000)
_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_LOOKALIKE = re.compile("[" + "".join(LOOKALIKES) + "]")
_LATIN = str.maketrans(LOOKALIKES)
_LEET = str.maketrans("0134578@$|", "oieastbasl")
_LEET_WORD = re.compile(
    r"[a-z]+[013457@$|]+[a-z][a-z0-9@$|]*|(?<![a-z0-9])[01347@$]+[a-z]{2}[a-z0-9@$|]*"
)
_SPACED = re.compile(r"(?<![a-z0-9])[a-z0-9](?:[ ._*|~/\\-]{1,4}[a-z0-9](?![a-z0-9'])){4,}")
_SIGNS = PatternSet(
    (
        r"(?:^|[^a-z0-9])[a-z0-9](?:[ ._*|~/\\-]{1,4}[a-z0-9]\b){4}",
        r"[a-z][013457@$|]+[a-z]|(?:^|[^a-z0-9])[01347@$]+[a-z]{2}",
    )
)
_SPACED_SIGN, _LEET_SIGN = 0, 1
_SEPARATOR = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class View:
    """`positions[i]` is where character i comes from; None: from place i. `of` is how long the
    original is."""

    text: str
    of: int
    positions: Sequence[int] | None = None

    def span(self, begin: int, end: int) -> Span:
        """`text[begin:end]` in the original, with what is invisible at its end."""
        return self.place(begin), self.place(end)

    def place(self, at: int) -> int:
        if self.positions is None:
            return at
        return self.positions[at] if at < len(self.positions) else self.of


def folded(text: str) -> View:
    """In lower case, without accents, marks, invisible characters and letters of other shapes."""
    if text.isascii():
        return View(text.lower(), len(text))
    pieces: list[str] = []
    positions: list[int] = []
    kept_to = 0
    for run in _NOT_ASCII.finditer(text):
        pieces.append(text[kept_to : run.start()].lower())
        positions.extend(range(kept_to, run.start()))
        for at, character in enumerate(run[0], run.start()):
            shown = _shown(character)
            pieces.append(shown)
            positions.extend([at] * len(shown))
        kept_to = run.end()
    pieces.append(text[kept_to:].lower())
    positions.extend(range(kept_to, len(text)))
    return View("".join(pieces), len(text), positions)


def latin(view: View) -> View:
    """A folded view with all letters that look like Latin ones as those."""
    if view.text.isascii():
        return view
    return View(view.text.translate(_LATIN), view.of, view.positions)


def views(text: str) -> list[View]:
    """The text folded, and what else it may say: few, and only where there are signs for it."""
    seen = [folded(text)]
    if _LOOKALIKE.search(seen[0].text):
        seen.append(latin(seen[0]))
    plain = seen[-1]
    signs = _SIGNS.matching(plain.text)
    if _SPACED_SIGN in signs:
        seen.append(_joined(plain))
    if _LEET_SIGN in signs:
        seen.append(View(_LEET_WORD.sub(_unleeted, plain.text), plain.of, plain.positions))
    return seen


@lru_cache(maxsize=1 << 14)
def _shown(character: str) -> str:
    """What one character outside of ASCII says; nothing, if it cannot be seen."""
    code = ord(character)
    if code in TAGS:
        return chr(code - TAG_SHIFT).lower()
    if any(code in selectors for selectors in _SELECTORS) or character in INVISIBLE:
        return ""
    if unicodedata.category(character) == "Cf":
        return ""
    for first in LETTER_BLOCKS:
        if first <= code < first + 26:
            return chr(ord("a") + code - first)
    if character in PUNCTUATION:
        return PUNCTUATION[character]
    return "".join(map(_bare, unicodedata.normalize("NFKC", character).casefold()))


def _bare(character: str) -> str:
    """A letter without accents, where these are marks and not a part of it as in Korean."""
    code = ord(character)
    if code not in _LATIN_TO_CYRILLIC and code not in _LATIN_AND_GREEK:
        return PUNCTUATION.get(character, character)
    apart = unicodedata.normalize("NFKD", character)
    return "".join(part for part in apart if not unicodedata.combining(part))


def _unleeted(match: re.Match[str]) -> str:
    return match[0].translate(_LEET)


def _joined(view: View) -> View:
    """Words whose letters stand apart, as "i g n o r e" and "i.g.n.o.r.e", as words."""
    pieces: list[str] = []
    positions: list[int] = []
    kept_to = 0
    for run in _SPACED.finditer(view.text):
        for begin, end in [(kept_to, run.start()), *_kept_of(view.text, *run.span())]:
            pieces.append(view.text[begin:end])
            positions.extend(map(view.place, range(begin, end)))
        kept_to = run.end()
    pieces.append(view.text[kept_to:])
    positions.extend(map(view.place, range(kept_to, len(view.text))))
    return View("".join(pieces), view.of, positions)


def _kept_of(text: str, begin: int, end: int) -> Iterator[Span]:
    """The letters; where gaps differ, the wider ones and the blanks among others are of words."""
    gaps = [gap.span() for gap in _SEPARATOR.finditer(text, begin, end)]
    narrow = min(stop - start for start, stop in gaps)
    has_signs = any(not text[start:stop].isspace() for start, stop in gaps)
    for start, stop in gaps:
        is_blank = text[start:stop].isspace()
        is_border = stop - start > narrow or (has_signs and is_blank)
        yield begin, start
        if is_border and is_blank | (stop - start > narrow):
            yield stop - 1, stop
        begin = stop
    yield begin, end
