"""Calls in the text of an answer, found as it comes, however it is cut into pieces."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from serving.text.stop_strings import overlap
from serving.text.tools.envelope import Envelope
from serving.text.tools.named_call import NamedCall
from serving.text.tools.pieces import CallArguments, CallBegun, CallEnded, Content, Piece


@dataclass(frozen=True, slots=True)
class Syntax:
    """`start [before] {…} ([between] {…})* [end]`, with space between any two of them.

    `is_bare`: an answer that begins with `{` is a call too, without a start. `after_name`: a call
    is not an object that names itself, but its name, this mark, and the object of its arguments.
    """

    start: str
    before: str = ""
    between: str = ""
    end: str = ""
    is_bare: bool = False
    after_name: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        return tuple(m for m in (self.start, self.after_name, self.end) if len(m) > 1)

    def new_call(self, names: Collection[str]) -> Envelope | NamedCall:
        """One to read into."""
        return NamedCall(names, self.after_name) if self.after_name else Envelope(names)


class _State(Enum):
    TEXT = auto()
    BEFORE = auto()
    CALL = auto()
    AFTER = auto()


class CallParser:
    """Whatever is no call of one of `names` comes out as content, unchanged.

    Of a call only its syntax and the space around it are left out. One that goes wrong within its
    arguments has no end, and what is left of it is content.
    """

    def __init__(self, syntax: Syntax, names: Collection[str]) -> None:
        self._syntax = syntax
        self._names = names
        self._state = _State.TEXT
        self._text = ""  # not looked at
        self._held = ""  # looked at: content after all, unless a call comes of it
        self._restored = 0  # of what is held, so much is content when no call comes of it
        self._is_at_start = syntax.is_bare
        self._is_after_call = False
        self._envelope = syntax.new_call(names)
        self._index = 0
        self._pieces: list[Piece] = []

    def push(self, text: str) -> list[Piece]:
        """What is certain now that `text` followed."""
        self._text += text
        while self._advance():
            pass
        return self._take()

    def end(self) -> list[Piece]:
        """What is left when no text will follow."""
        while self._state in (_State.BEFORE, _State.CALL) and not self._is_begun:
            self._give_up()
            while self._advance():
                pass
        rest = self._held + self._text
        self._held = self._text = ""
        if not self._is_after_call or rest.strip():
            self._say(rest)
        return self._take()

    @property
    def _is_begun(self) -> bool:
        return self._state is _State.CALL and self._envelope.is_certain

    def _advance(self) -> bool:
        """One step; False when there is nothing to do until more text comes."""
        match self._state:
            case _State.TEXT:
                return self._in_text()
            case _State.BEFORE:
                return self._before_call()
            case _State.CALL:
                return self._in_call()
            case _State.AFTER:
                return self._after_call()

    def _in_text(self) -> bool:
        text = self._text.lstrip() if self._is_at_start or self._is_after_call else self._text
        if not text:
            return False
        if self._is_at_start and text[0] == "{":
            self._is_at_start = False
            space = len(self._text) - len(text)
            self._hold(space, restored=space + 1)
            self._state = _State.CALL
            return True
        start = self._syntax.start
        if self._is_after_call and text.startswith(start):
            self._text = text
        elif self._is_after_call and start.startswith(text):
            return False
        self._is_at_start = self._is_after_call = False
        return self._find_start()

    def _find_start(self) -> bool:
        start = self._syntax.start
        at = self._text.find(start)
        if at < 0:
            keep = overlap(self._text, start)
            self._say(self._text[: len(self._text) - keep])
            self._text = self._text[len(self._text) - keep :]
            return False
        self._say(self._text[:at])
        self._text = self._text[at:]
        self._hold(len(start), restored=len(start))
        self._state = _State.BEFORE if self._syntax.before else _State.CALL
        return True

    def _before_call(self) -> bool:
        self._hold_space()
        before = self._syntax.before
        if self._text.startswith(before):
            self._hold(len(before))
            self._state = _State.CALL
            return True
        if before.startswith(self._text):
            return False
        self._give_up()
        return True

    def _in_call(self) -> bool:
        if not self._text:
            return False
        envelope = self._envelope
        was_certain = envelope.is_certain
        end = envelope.push(self._text)
        self._hold(end)
        if envelope.is_certain:
            self._tell(is_first=not was_certain)
        if envelope.is_complete:
            self._pieces.append(CallEnded(self._index))
            self._next_call(_State.AFTER)
        elif envelope.is_broken and envelope.is_certain:
            self._next_call(_State.TEXT)
        elif envelope.is_broken:
            self._give_up()
        return bool(self._text)

    def _tell(self, *, is_first: bool) -> None:
        assert self._envelope.name is not None
        if is_first:
            self._pieces.append(CallBegun(self._index, self._envelope.name))
        if arguments := self._envelope.take_arguments():
            self._pieces.append(CallArguments(self._index, arguments))
        self._held = ""

    def _next_call(self, state: _State) -> None:
        self._state = state
        self._index += 1
        self._envelope = self._syntax.new_call(self._names)
        self._is_after_call = state is _State.AFTER

    def _after_call(self) -> bool:
        self._hold_space()
        for mark, state in self._marks():
            if self._text.startswith(mark):
                self._hold(len(mark), restored=1)
                self._held = self._held.lstrip() if state is _State.CALL else ""
                self._state = state
                return bool(self._text)
        if any(mark.startswith(self._text) for mark, _ in self._marks()):
            return False
        self._state = _State.TEXT
        self._text, self._held = self._held + self._text, ""
        return bool(self._text)

    def _marks(self) -> list[tuple[str, _State]]:
        marks = [(self._syntax.between, _State.CALL), (self._syntax.end, _State.TEXT)]
        return [(mark, state) for mark, state in marks if mark]

    def _give_up(self) -> None:
        """No call comes of it: the mark that it began with is content, the rest is read again."""
        held, self._held = self._held, ""
        self._say(held[: self._restored])
        self._text = held[self._restored :] + self._text
        self._envelope = self._syntax.new_call(self._names)
        self._state = _State.TEXT
        self._is_after_call = False

    def _hold_space(self) -> None:
        self._hold(len(self._text) - len(self._text.lstrip()))

    def _hold(self, length: int, *, restored: int | None = None) -> None:
        self._held += self._text[:length]
        self._text = self._text[length:]
        if restored is not None:
            self._restored = restored

    def _say(self, text: str) -> None:
        if text:
            self._pieces.append(Content(text))

    def _take(self) -> list[Piece]:
        pieces, self._pieces = self._pieces, []
        return pieces
