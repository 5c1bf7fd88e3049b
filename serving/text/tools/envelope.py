"""The JSON object of one call, read as it comes: `{"name": …, "arguments": {…}}`, in any order."""

import json
from collections.abc import Collection
from enum import Enum, auto

from serving.text.tools.json_value import SPACE, JsonValue

ARGUMENTS = ("arguments", "parameters")
_OTHERS = ("id", "type")


class _Next(Enum):
    OPEN = auto()
    FIRST_KEY = auto()
    KEY = auto()
    COLON = auto()
    VALUE = auto()
    COMMA = auto()


class Envelope:
    """Broken as soon as it cannot become a call of one of `names` any more."""

    def __init__(self, names: Collection[str]) -> None:
        self.name: str | None = None
        self.is_complete = False
        self.is_broken = False
        self._names = names
        self._next = _Next.OPEN
        self._key = ""
        self._value: JsonValue | None = None
        self._text = ""  # of the key or the value that is being read
        self._arguments: list[str] = []
        self._has_arguments = False

    @property
    def is_certain(self) -> bool:
        """It is a call: nothing but the text of its arguments can still be wrong with it."""
        return self.name is not None and (self._has_arguments or self.is_complete)

    def take_arguments(self) -> str:
        """Their text so far, without what was taken before."""
        text, self._arguments = "".join(self._arguments), []
        return text

    def push(self, text: str, start: int = 0) -> int:
        """Where the part of `text` from `start` on that belongs to it ends."""
        at = start
        while at < len(text) and not (self.is_complete or self.is_broken):
            at = self._mark(text, at) if self._value is None else self._read(text, at)
        return at

    def _mark(self, text: str, at: int) -> int:
        char = text[at]
        if char in SPACE:
            return at + 1
        match self._next, char:
            case (_Next.OPEN, "{"):
                self._next = _Next.FIRST_KEY
            case (_Next.KEY | _Next.FIRST_KEY, '"'):
                return self._begin(text, at)
            case (_Next.COLON, ":"):
                self._next = _Next.VALUE
            case (_Next.VALUE, _) if self._may_begin(char):
                return self._begin(text, at)
            case (_Next.COMMA, ","):
                self._next = _Next.KEY
            case (_Next.COMMA, "}") if self.name is not None:
                self._complete()
            case _:
                self.is_broken = True
                return at
        return at + 1

    def _may_begin(self, char: str) -> bool:
        if self._key in ARGUMENTS:
            return char == "{" and not self._has_arguments
        return self._key != "name" or (char == '"' and self.name is None)

    def _begin(self, text: str, at: int) -> int:
        self._value, self._text = JsonValue(), ""
        self._has_arguments |= self._next is _Next.VALUE and self._key in ARGUMENTS
        return self._read(text, at)

    def _read(self, text: str, at: int) -> int:
        assert self._value is not None
        end = self._value.push(text, at)
        if self._next is _Next.VALUE and self._key in ARGUMENTS:
            self._arguments.append(text[at:end])
        else:
            self._text += text[at:end]
        if self._value.is_complete:
            self._value = None
            self._end()
        elif self._value.is_broken:
            self.is_broken = True
        return end

    def _end(self) -> None:
        """A key or a value is whole."""
        if self._next is not _Next.VALUE:
            self._key = json.loads(self._text)
            self._next = _Next.COLON
            self.is_broken = self._key not in ("name", *ARGUMENTS, *_OTHERS)
            return
        self._next = _Next.COMMA
        if self._key == "name":
            name = json.loads(self._text)
            self.is_broken = name not in self._names
            self.name = None if self.is_broken else name

    def _complete(self) -> None:
        self.is_complete = True
        if not self._has_arguments:
            self._arguments.append("{}")
