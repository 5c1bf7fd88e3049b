"""A text in which spans are replaced, and the way back to places of the original."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edit:
    """`original[begin:end]` is now `replacement`."""

    begin: int
    end: int
    replacement: str


class Redaction:
    """Keeps the original: a span that takes in earlier replacements is one of the original, too."""

    __slots__ = ("_begins", "_edits", "original", "text")

    def __init__(self, original: str) -> None:
        self.original = original
        self.text = original
        self._edits: list[Edit] = []
        self._begins: list[int] = []  # of the replacements, in `text`

    def origin(self, begin: int, end: int) -> Span | None:
        """`text[begin:end]` in the original; None if it is in a replacement, so there is none."""
        if not self._edits:
            return begin, end
        first, last = self._edit_at(begin), self._edit_at(end - 1)
        if first is not None and first is last:
            return None
        return (
            first.begin if first is not None else self._place(begin),
            last.end if last is not None else self._place(end),
        )

    def until(self, end: int) -> str:
        """The text up to a place of the original, without a replacement that reaches over it."""
        pieces: list[str] = []
        kept_to = 0
        for edit in self._edits:
            if edit.end > end:
                return "".join([*pieces, self.original[kept_to : min(edit.begin, end)]])
            pieces += [self.original[kept_to : edit.begin], edit.replacement]
            kept_to = edit.end
        return "".join([*pieces, self.original[kept_to:end]])

    def replace(self, edits: Sequence[Edit]) -> None:
        """Adds edits, in places of the original, in order and without overlaps; they swallow the
        earlier ones that they overlap."""
        ends = [edit.end for edit in edits]
        kept = []
        for earlier in self._edits:
            number = bisect_right(ends, earlier.begin)  # the first that ends after it begins
            if number == len(edits) or edits[number].begin >= earlier.end:
                kept.append(earlier)
        self._edits = sorted([*kept, *edits], key=lambda edit: edit.begin)
        self._build()

    def _build(self) -> None:
        pieces: list[str] = []
        self._begins = []
        kept_to = length = 0
        for edit in self._edits:
            pieces += [self.original[kept_to : edit.begin], edit.replacement]
            length += edit.begin - kept_to
            self._begins.append(length)
            length += len(edit.replacement)
            kept_to = edit.end
        self.text = "".join([*pieces, self.original[kept_to:]])

    def _before(self, at: int) -> int:
        return bisect_right(self._begins, at) - 1

    def _edit_at(self, at: int) -> Edit | None:
        """The edit whose replacement holds place `at` of the text."""
        number = self._before(at)
        if number < 0:
            return None
        edit = self._edits[number]
        return edit if at < self._begins[number] + len(edit.replacement) else None

    def _place(self, at: int) -> int:
        """Where a place of the text that is in no replacement is in the original."""
        number = self._before(at - 1)
        if number < 0:
            return at
        edit = self._edits[number]
        return at - self._begins[number] - len(edit.replacement) + edit.end
