r"""Regular expressions of ECMA-262, as JSON schema has them, as expressions of a grammar.

No groups that look around or back and no `\b`: no grammar of text can hold them. Reading one takes
time in proportion to its length.
"""

from functools import lru_cache

from serving.text.schema_characters import (
    DIGITS,
    DOT,
    SPACES,
    WORDS,
    Characters,
    Notation,
    ascii_but,
)
from serving.text.schema_rules import any_of

MAX_LENGTH = 4096
MAX_SIZE = 20_000  # characters that the bounded repetitions come to, each within another one
MAX_NESTING = 64
_CLASSES = {"d": DIGITS, "w": WORDS, "s": SPACES}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_HEX = {"x": 2, "u": 4}
_SYNTAX = frozenset("^$\\.*+?()[]{}|/-")


class PatternError(ValueError):
    """What in a pattern cannot be held, and where."""


def expression(pattern: str, notation: Notation, *, anywhere: str | None = None) -> str:
    """The texts that match. `anywhere` is what stands around a match that is not anchored.

    Without it a match is the whole text. Raises PatternError.
    """
    try:
        return _expression(pattern, notation, anywhere)
    except PatternError:
        raise
    except ValueError as error:
        raise PatternError(str(error)) from None


@lru_cache(maxsize=256)
def _expression(pattern: str, notation: Notation, anywhere: str | None) -> str:
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"has {len(pattern)} characters, it can have {MAX_LENGTH}")
    return _Reader(pattern, notation, anywhere).all()


class _Reader:
    """A pattern from left to right; `size` is what the text of the last part comes to at most."""

    def __init__(self, pattern: str, notation: Notation, anywhere: str | None) -> None:
        self._pattern = pattern
        self._notation = notation
        self._anywhere = anywhere
        self._at = 0
        self._depth = 0

    def all(self) -> str:
        text, _ = self._alternatives()
        if self._at < len(self._pattern):
            raise self._wrong("closes a group that is not open")
        return text

    def _alternatives(self) -> tuple[str, int]:
        parts, sizes = [], []
        while True:
            text, size = self._sequence()
            parts.append(text)
            sizes.append(size)
            if not self._take("|"):
                return any_of(parts), max(sizes) if self._depth else sum(sizes)

    def _sequence(self) -> tuple[str, int]:
        is_outer = self._depth == 0
        starts = is_outer and self._take("^")
        ends, parts, size = False, [], 0
        while self._at < len(self._pattern) and self._peek() not in "|)":
            if is_outer and self._peek() == "$" and self._pattern[self._at + 1 :][:1] in ("", "|"):
                self._at += 1
                ends = True
                break
            text, more = self._repeated()
            parts.append(text)
            size += more
        if is_outer and self._anywhere is not None:
            before, after = ([] if done else [self._anywhere] for done in (starts, ends))
            parts = [*before, *parts, *after]
        return " ".join(parts) or '""', size

    def _repeated(self) -> tuple[str, int]:
        begin = self._at
        text, size = self._atom()
        least, most = self._times()
        if (least, most) == (1, 1):
            return text, size
        size *= max(most or least, 1)
        if size > MAX_SIZE:
            raise self._wrong(f"repeats up to {size} characters, it can repeat {MAX_SIZE}", begin)
        self._take("?")  # one that takes as little as it can matches the same texts
        if self._peek() in tuple("*+?{"):
            raise self._wrong("repeats a repetition; put the inner one into a group")
        if most is None and least in (0, 1):
            return f"({text}){'*+'[least]}", size
        return f"({text}){{{least},{'' if most is None else most}}}", size

    def _times(self) -> tuple[int, int | None]:
        if self._take("*"):
            return 0, None
        if self._take("+"):
            return 1, None
        if self._take("?"):
            return 0, 1
        if not self._take("{"):
            return 1, 1
        least = self._number()
        most = (self._number() if self._peek().isdigit() else None) if self._take(",") else least
        if not self._take("}") or (most is not None and most < least):
            raise self._wrong("is no repetition")
        return least, most

    def _number(self) -> int:
        begin = self._at
        while self._peek() in "0123456789" and self._peek():
            self._at += 1
        digits = self._pattern[begin : self._at]
        if not digits or len(digits) > 5:
            raise self._wrong("is no number of times", begin)
        return int(digits)

    def _atom(self) -> tuple[str, int]:
        begin, char = self._at, self._peek()
        self._at += 1
        match char:
            case "(":
                return self._group(begin)
            case "[":
                return self._notation.one_of(self._class(begin)), 1
            case ".":
                return self._notation.one_of(DOT), 1
            case "\\":
                return self._notation.one_of(self._escape(begin)), 1
            case "^" | "$":
                raise self._wrong("is an anchor within the pattern", begin)
            case "*" | "+" | "?" | "{" | "}" | "]":
                raise self._wrong("has nothing before it that it could mean", begin)
        return self._notation.one_of(Characters.of(char)), 1

    def _group(self, begin: int) -> tuple[str, int]:
        if self._take("?") and not self._take(":"):
            self._name(begin)
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._wrong(f"is nested deeper than {MAX_NESTING}", begin)
        inner = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._wrong("opens a group that is not closed", begin)
        return inner

    def _name(self, begin: int) -> None:
        """Of a group, which means nothing here."""
        self._take("P")
        end = self._pattern.find(">", self._at)
        if not self._take("<") or not self._pattern[self._at : end].isidentifier():
            raise self._wrong("looks around, or sets a flag", begin)
        self._at = end + 1

    def _class(self, begin: int) -> Characters:
        is_negated = self._take("^")
        parts = []
        while not self._take("]"):
            if not self._peek():
                raise self._wrong("opens a class that is not closed", begin)
            parts.append(self._range())
        made = Characters.union(parts)
        if not (rest := ~made if is_negated else made):
            raise self._wrong("is a class of no characters", begin)
        return rest

    def _range(self) -> Characters:
        begin = self._at
        low = self._member()
        if self._peek() != "-" or self._pattern[self._at + 1 :][:1] in ("]", ""):
            return low
        self._at += 1
        high = self._member()
        if not (low.is_one and high.is_one and low.first <= high.first):
            raise self._wrong("is no range", begin)
        return Characters.range(low.first, high.first)

    def _member(self) -> Characters:
        begin, char = self._at, self._peek()
        self._at += 1
        if char == "\\" and self._take("b"):
            return Characters.of("\b")
        return self._escape(begin) if char == "\\" else Characters.of(char)

    def _escape(self, begin: int) -> Characters:
        char = self._peek()
        self._at += 1
        if char.lower() in _CLASSES and char:
            some = _CLASSES[char.lower()]
            return some if char.islower() else ascii_but(some)
        if char in _HEX:
            return self._code(_HEX[char], begin)
        if char in _CONTROLS:
            return Characters.of(_CONTROLS[char])
        if char in _SYNTAX or (char and not char.isalnum()):
            return Characters.of(char)
        raise self._wrong("cannot be held", begin)

    def _code(self, width: int, begin: int) -> Characters:
        digits = self._pattern[self._at : self._at + width]
        self._at += width
        try:
            code = int(digits, 16) if digits.isalnum() and len(digits) == width else -1
        except ValueError:
            code = -1
        if code < 0:
            raise self._wrong("is no character", begin)
        return Characters.range(code, code)

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self, text: str) -> bool:
        is_there = self._pattern.startswith(text, self._at)
        self._at += len(text) if is_there else 0
        return is_there

    def _wrong(self, what: str, begin: int | None = None) -> PatternError:
        begin = max(self._at - 1, 0) if begin is None else begin
        end = max(self._at, begin + 1)
        return PatternError(f"'{self._pattern[begin:end][:32]}' at {begin} {what}")
