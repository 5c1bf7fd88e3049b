"""An answer's text as content, reasoning and calls."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from serving.contract.tools import ToolCallDelta, joined
from serving.text.tools.family import Family
from serving.text.tools.parser import CallParser
from serving.text.tools.pieces import CallArguments, CallBegun, CallEnded, Content, Piece
from serving.text.tools.reasoning import ReasoningSplit


@dataclass(frozen=True, slots=True)
class Said:
    """What a piece of text turned out to be; falsy when that is nothing yet."""

    content: str = ""
    reasoning: str = ""
    calls: tuple[ToolCallDelta, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.content or self.reasoning or self.calls)

    def __add__(self, other: "Said") -> "Said":
        return Said(
            self.content + other.content,
            self.reasoning + other.reasoning,
            joined(self.calls + other.calls),
        )


class Reading:
    """Reasoning comes first, and there are no calls in it."""

    def __init__(
        self, reasoning: ReasoningSplit | None, family: Family | None, names: Collection[str] = ()
    ) -> None:
        """None for what there is not; `names` are those of the tools that may be called."""
        self._reasoning = reasoning
        self._family = family
        self._parser = None if family is None else CallParser(family.syntax, names)
        self.has_whole_call = False

    def push(self, text: str) -> Said:
        reasoning, text = ("", text) if self._reasoning is None else self._reasoning.push(text)
        pieces = self._pieces(text)
        return self._said(reasoning, pieces)

    def end(self) -> Said:
        """What is left when no text will follow."""
        reasoning, text = ("", "") if self._reasoning is None else self._reasoning.end()
        pieces = self._pieces(text)
        if self._parser is not None:
            pieces += self._parser.end()
        return self._said(reasoning, pieces)

    def _pieces(self, text: str) -> list[Piece]:
        if not text:
            return []
        return [Content(text)] if self._parser is None else self._parser.push(text)

    def _said(self, reasoning: str, pieces: Iterable[Piece]) -> Said:
        content = []
        calls = []
        for piece in pieces:
            match piece:
                case Content(text):
                    content.append(text)
                case CallEnded():
                    self.has_whole_call = True
                case CallBegun() | CallArguments():
                    calls.append(self._delta(piece))
        return Said("".join(content), reasoning, joined(calls))

    def _delta(self, piece: CallBegun | CallArguments) -> ToolCallDelta:
        if isinstance(piece, CallArguments):
            return ToolCallDelta(piece.index, arguments=piece.text)
        assert self._family is not None
        return ToolCallDelta(piece.index, self._family.new_id(), piece.name)
