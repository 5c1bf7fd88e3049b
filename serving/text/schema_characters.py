"""Sets of characters, and how a grammar writes one of them: as it is, or within JSON's quotes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from serving.text.schema_rules import any_of, literal

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)
# Where UTF-8 has a byte more, or another rule for the second one. XGrammar's ranges must not go
# over one of them: what they let in then need not be UTF-8.
_BORDERS = (0x80, 0x800, 0x1000, 0xD000, 0xE000, 0x10000, 0x40000, 0x100000, _LAST + 1)
_ESCAPES = {'"': '"', "\\": "\\", "\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f"}


@dataclass(frozen=True, slots=True)
class Characters:
    """`ranges` are of code points, in order and apart; `is_all_but`: it was said what is not."""

    ranges: tuple[tuple[int, int], ...] = ()
    is_all_but: bool = False
    is_ascii: bool = False  # what is not of it is ASCII too: Python's classes have more than ECMA's

    @classmethod
    def range(cls, low: int, high: int) -> "Characters":
        return cls(((low, high),))

    @classmethod
    def of(cls, characters: str) -> "Characters":
        return cls.union(cls.range(ord(char), ord(char)) for char in characters)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    @classmethod
    def union(cls, parts: Iterable["Characters"]) -> "Characters":
        parts = list(parts)
        merged: list[tuple[int, int]] = []
        for low, high in sorted(each for part in parts for each in part.ranges):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return cls(tuple(merged), is_ascii=any(part.is_ascii for part in parts))

    def __invert__(self) -> "Characters":
        gaps, at = [], 0
        for low, high in (*self.ranges, (_LAST + 1, _LAST + 1)):
            if at < low:
                gaps.append((at, low - 1))
            at = high + 1
        rest = Characters(tuple(gaps), is_all_but=True)
        return rest.within(0, 0x7E) if self.is_ascii else rest

    def within(self, low: int, high: int) -> "Characters":
        cut = ((max(low, a), min(high, b)) for a, b in self.ranges)
        return Characters(tuple((a, b) for a, b in cut if a <= b), self.is_all_but, self.is_ascii)

    def without(self, low: int, high: int) -> "Characters":
        before, after = self.within(0, low - 1), self.within(high + 1, _LAST)
        return Characters(before.ranges + after.ranges, self.is_all_but, self.is_ascii)

    def __contains__(self, char: str) -> bool:
        return any(low <= ord(char) <= high for low, high in self.ranges)

    @property
    def is_one(self) -> bool:
        return len(self.ranges) == 1 and self.ranges[0][0] == self.ranges[0][1]

    @property
    def first(self) -> int:
        return self.ranges[0][0]


def ascii_but(characters: Characters) -> Characters:
    rest = (~characters).within(0, 0x7E)
    return Characters(rest.ranges, is_all_but=True, is_ascii=True)


DIGITS = Characters(((0x30, 0x39),), is_ascii=True)
_LETTERS = (Characters.range(0x41, 0x5A), Characters.range(0x61, 0x7A), Characters.of("_"))
WORDS = Characters.union((DIGITS, *_LETTERS))
SPACES = Characters(Characters.of(" \t\n\r\f\v").ranges, is_ascii=True)
DOT = ~Characters.of("\n\r\u2028\u2029")


class Notation(Enum):
    """How the characters of a text are written."""

    TEXT = "text"
    JSON = "json"  # in a string: some must be escaped

    def one_of(self, characters: Characters) -> str:
        """Where all but some are meant, those that would need an escape are left out."""
        some = characters.without(*_SURROGATES)
        if self is Notation.TEXT:
            return _class(some)
        escaped = [] if some.is_all_but else [_escape(c) for c in _ESCAPES if c in some]
        plain = some.without(0, 0x1F).without(0x22, 0x22).without(0x5C, 0x5C)
        parts = [_class(plain)] if plain else []
        return any_of([*parts, *escaped]) if parts or escaped else _class(plain)


def _escape(char: str) -> str:
    return literal(f"\\{_ESCAPES[char]}")


def _class(characters: Characters) -> str:
    if not characters:
        raise ValueError("no character of this class can be written in JSON")
    if characters.is_one:
        return literal(chr(characters.first))
    ranges = (each for low, high in characters.ranges for each in _split(low, high))
    return f"[{''.join(_range(low, high) for low, high in ranges)}]"


def _split(low: int, high: int) -> Iterator[tuple[int, int]]:
    for border in _BORDERS:
        if low <= high and low < border:
            yield low, min(high, border - 1)
            low = border


def _range(low: int, high: int) -> str:
    return _member(low) if low == high else f"{_member(low)}-{_member(high)}"


def _member(code: int) -> str:
    char = chr(code)
    return char if char.isascii() and char.isalnum() else f"\\U{code:08x}"
