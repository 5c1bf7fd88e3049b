"""From a pattern to the pattern of all beginnings of its matches: what a text may still become."""

import re

MAX_DEPTH = 12  # every nested repeat doubles what comes out
MAX_LENGTH = 20_000
MAX_COUNT = 20
ANYTHING = "(?s:.+)"

_ASSERTIONS = frozenset("bBAz<>Z")
_LOOKS = ("(?=", "(?!", "(?<=", "(?<!")
_QUANTIFIER = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}")

Parts = tuple[str, str]  # a piece of the pattern, and the pattern of its beginnings


def beginnings(pattern: str, further: str) -> str:
    """A pattern for every text, not empty, that more text could make a match of `pattern`, or that
    is one with characters of the class `further` behind it.

    It leaves assertions out, so it matches too much rather than too little; of a pattern that is
    nested too deep it matches anything.
    """
    try:
        whole, part = _Reader(pattern).alternatives(0)
    except (_TooDeep, IndexError):
        return ANYTHING
    if not part or len(part) > MAX_LENGTH:
        return ANYTHING
    return f"(?:{part}|(?:{whole})[{further}]*)"


class _TooDeep(Exception):
    pass


class _Reader:
    """Reads a pattern that RE2 has taken already, so it is well formed."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def alternatives(self, depth: int) -> Parts:
        if depth > MAX_DEPTH:
            raise _TooDeep
        read = [self._sequence(depth)]
        while self._next_is("|"):
            self._at += 1
            read.append(self._sequence(depth))
        parts = [part for _, part in read if part]
        return "|".join(whole for whole, _ in read), "|".join(parts)

    def _sequence(self, depth: int) -> Parts:
        items: list[Parts] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            items.append(self._repeated(self._atom(depth)))
        part = ""
        for whole, of_item in reversed(items):
            further = f"{whole}(?:{part})" if part else ""
            part = "|".join(filter(None, (of_item, further)))
        return "".join(whole for whole, _ in items), part

    def _repeated(self, atom: Parts) -> Parts:
        quantifier = self._quantifier()
        whole, part = atom
        if not quantifier or not whole:
            return atom
        if quantifier == "?":
            return f"{whole}?", part
        return (
            f"{whole}{_looser(quantifier)}",
            f"{whole}{_fewer(quantifier)}(?:{part})" if part else "",
        )

    def _quantifier(self) -> str:
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None:
            return ""
        self._at = match.end()
        if self._next_is("?") or self._next_is("+"):  # lazy, or possessive in patterns of our own
            self._at += 1
        return match[0]

    def _atom(self, depth: int) -> Parts:
        character = self._pattern[self._at]
        if character == "(":
            return self._group(depth)
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        self._at += 1
        return ("", "") if character in "^$" else (character, character)

    def _group(self, depth: int) -> Parts:
        opening = self._opening()
        if opening.endswith(")"):  # only flags
            return opening, ""
        whole, part = self.alternatives(depth + 1)
        self._at += 1
        if opening in _LOOKS:
            return "", ""
        return f"{opening}{whole})", f"{opening}{part})" if part else ""

    def _opening(self) -> str:
        begin = self._at
        look = next((look for look in _LOOKS if self._pattern.startswith(look, begin)), None)
        if look is not None:
            self._at += len(look)
            return look
        if not self._pattern.startswith("(?", begin):
            self._at += 1
            return "(?:"
        if self._pattern.startswith(("(?P<", "(?<"), begin):
            self._at = self._pattern.index(">", begin) + 1
            return "(?:"
        while self._pattern[self._at] not in ":)":
            self._at += 1
        self._at += 1
        return self._pattern[begin : self._at]

    def _class(self) -> Parts:
        begin = self._at
        self._at += 2 if self._pattern.startswith("[^", begin) else 1
        if self._next_is("]"):  # the first is a plain character
            self._at += 1
        while self._pattern[self._at] != "]":
            if self._pattern.startswith("[:", self._at):
                self._at = self._pattern.index(":]", self._at) + 2
            else:
                self._at += 2 if self._pattern[self._at] == "\\" else 1
        self._at += 1
        written = self._pattern[begin : self._at]
        return written, written

    def _escape(self) -> Parts:
        begin, letter = self._at, self._pattern[self._at + 1]
        self._at += 2
        if letter in _ASSERTIONS:
            return "", ""
        if letter == "Q":
            raise _TooDeep
        if letter in "pPx" and self._next_is("{"):
            self._at = self._pattern.index("}", begin) + 1
        elif letter == "x":
            self._at += 2
        elif letter in "pP":
            self._at += 1
        written = self._pattern[begin : self._at]
        return written, written

    def _next_is(self, character: str) -> bool:
        return self._pattern.startswith(character, self._at)


def _fewer(quantifier: str) -> str:
    """The same repeat with one time less, as the last one has only begun."""
    if quantifier in "*+":
        return "*"
    _, high = _bounds(quantifier)
    return "*" if high is None else f"{{0,{max(0, high - 1)}}}"


def _looser(quantifier: str) -> str:
    """Long counts make large automata: from MAX_COUNT on there is no more counting."""
    if quantifier in "*+?":
        return quantifier
    low, high = _bounds(quantifier)
    return f"{{{min(low, MAX_COUNT)},{'' if high is None else high}}}"


def _bounds(quantifier: str) -> tuple[int, int | None]:
    low, comma, high = quantifier[1:-1].partition(",")
    most = int(high) if high else None if comma else int(low)
    return int(low), None if most is None or most > MAX_COUNT else most
