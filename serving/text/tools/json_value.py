"""One JSON value, read as it comes: where it ends, or that it cannot become one any more."""

import re
from enum import Enum, auto

SPACE = " \t\n\r"
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_BEGUN_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
_WORD = re.compile(r"[-+.0-9A-Za-z]*")
_BARE = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_BARE_STARTS = "-0123456789tfn"
_CLOSES = {"}": "{", "]": "["}


class _Next(Enum):
    VALUE = auto()
    FIRST_ITEM = auto()  # of a list, or its end
    FIRST_KEY = auto()
    KEY = auto()
    COLON = auto()
    COMMA = auto()  # or the end of the list or object
    STRING = auto()
    BARE = auto()


class JsonValue:
    """Begins with its first character, no space before it. A number ends with what follows it."""

    def __init__(self) -> None:
        self.is_complete = False
        self.is_broken = False
        self._next = _Next.VALUE
        self._open: list[str] = []
        self._is_key = False
        self._held = ""  # a bare word, or an escape that is not whole

    def push(self, text: str, start: int = 0) -> int:
        """Where the part of `text` from `start` on that belongs to it ends."""
        at = start
        while at < len(text) and not (self.is_complete or self.is_broken):
            at = self._step(text, at)
        return at

    def _step(self, text: str, at: int) -> int:
        if self._next is _Next.STRING:
            return self._in_string(text, at)
        if self._next is _Next.BARE:
            return self._in_bare(text, at)
        char = text[at]
        if char in SPACE and (self._open or self._next is not _Next.VALUE):
            return at + 1
        if char in _BARE_STARTS and self._next in (_Next.VALUE, _Next.FIRST_ITEM):
            self._next = _Next.BARE
            return at
        self._mark(char)
        return at + (not self.is_broken)

    def _mark(self, char: str) -> None:
        """One character that is neither in a string nor in a bare word."""
        match self._next, char:
            case (_Next.VALUE | _Next.FIRST_ITEM, "{" | "["):
                self._open.append(char)
                self._next = _Next.FIRST_KEY if char == "{" else _Next.FIRST_ITEM
            case (_Next.VALUE | _Next.FIRST_ITEM | _Next.KEY | _Next.FIRST_KEY, '"'):
                self._is_key = self._next in (_Next.KEY, _Next.FIRST_KEY)
                self._next = _Next.STRING
            case (_Next.FIRST_KEY, "}") | (_Next.FIRST_ITEM, "]"):
                self._close()
            case (_Next.COMMA, "}" | "]") if self._open[-1] == _CLOSES[char]:
                self._close()
            case (_Next.COMMA, ","):
                self._next = _Next.KEY if self._open[-1] == "{" else _Next.VALUE
            case (_Next.COLON, ":"):
                self._next = _Next.VALUE
            case _:
                self.is_broken = True

    def _close(self) -> None:
        self._open.pop()
        self._end()

    def _end(self) -> None:
        """A value is over: this one, or one inside of it."""
        self._next = _Next.COMMA
        self.is_complete = not self._open

    def _in_string(self, text: str, at: int) -> int:
        if self._held:
            return self._in_escape(text, at)
        at = _end_of(_PLAIN, text, at)
        if at == len(text):
            return at
        if text[at] == '"':
            if self._is_key:
                self._next, self._is_key = _Next.COLON, False
            else:
                self._end()
            return at + 1
        self._held = "\\" if text[at] == "\\" else ""
        self.is_broken = not self._held
        return at + (not self.is_broken)

    def _in_escape(self, text: str, at: int) -> int:
        held = self._held + text[at]
        if _ESCAPE.fullmatch(held):
            self._held = ""
        elif _BEGUN_ESCAPE.fullmatch(held):
            self._held = held
        else:
            self.is_broken = True
        return at + (not self.is_broken)

    def _in_bare(self, text: str, at: int) -> int:
        end = _end_of(_WORD, text, at)
        self._held += text[at:end]
        if end < len(text):
            self.is_broken = _BARE.fullmatch(self._held) is None
            self._held = ""
            if not self.is_broken:
                self._end()
        return end


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return at if found is None else found.end()
