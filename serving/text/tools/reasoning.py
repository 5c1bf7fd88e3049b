"""What a model thinks before it answers: `<think>…</think>` at the beginning of its text."""

from enum import Enum, auto

from serving.text.stop_strings import overlap

OPEN, CLOSE = "<think>", "</think>"


class _State(Enum):
    BEFORE = auto()
    OPENED = auto()
    INSIDE = auto()
    CLOSED = auto()
    AFTER = auto()


class ReasoningSplit:
    """Space around the tags is left out. Tags anywhere else are text as any other."""

    def __init__(self, *, is_open: bool) -> None:
        """`is_open`: the prompt ends with the first tag."""
        self._state = _State.OPENED if is_open else _State.BEFORE
        self._held = ""

    def push(self, text: str) -> tuple[str, str]:
        """What is certainly reasoning, and what is certainly not."""
        if self._state is _State.AFTER:
            return "", text
        self._held += text
        self._enter()
        reasoning = self._reasoning() if self._state is _State.INSIDE else ""
        if self._state is _State.CLOSED and self._held.strip():
            self._held = self._held.lstrip()
            self._state = _State.AFTER
        return reasoning, self._take() if self._state is _State.AFTER else ""

    def end(self) -> tuple[str, str]:
        """What was held back, when the text has ended."""
        held = self._take()
        if self._state is _State.INSIDE:
            return held, ""
        return "", held if self._state is _State.BEFORE else ""

    def _enter(self) -> None:
        text = self._held.lstrip()
        if self._state is _State.BEFORE and text:
            if text.startswith(OPEN):
                self._held, self._state = text[len(OPEN) :], _State.OPENED
            elif not OPEN.startswith(text):
                self._state = _State.AFTER
        if self._state is _State.OPENED and self._held.strip():
            self._held, self._state = self._held.lstrip(), _State.INSIDE

    def _reasoning(self) -> str:
        at = self._held.find(CLOSE)
        if at >= 0:
            reasoning = self._held[:at]
            self._held, self._state = self._held[at + len(CLOSE) :], _State.CLOSED
            return reasoning
        keep = overlap(self._held, CLOSE)
        reasoning = self._held[: len(self._held) - keep]
        self._held = self._held[len(self._held) - keep :]
        return reasoning

    def _take(self) -> str:
        held, self._held = self._held, ""
        return held
