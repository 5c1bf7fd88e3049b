"""Patterns that match in time linear in the text, whatever the pattern (RE2's syntax)."""

from collections.abc import Iterator, Sequence

import re2  # type: ignore[import-untyped]

from serving.contract.errors import InvalidRequest

Span = tuple[int, int]

SET_MEMORY_BYTES = 4 << 20  # of one automaton
TOGETHER = 4


def _options(max_mem: int | None = None, *, is_case_sensitive: bool) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True  # spans alone, and those faster
    options.case_sensitive = is_case_sensitive
    if max_mem is not None:
        options.max_mem = max_mem
    return options


class Pattern:
    """One pattern. Raises InvalidRequest, which names it, where RE2 does not take it."""

    __slots__ = ("_compiled", "source")

    def __init__(self, source: str, *, is_case_sensitive: bool = True) -> None:
        self.source = source
        try:
            options = _options(is_case_sensitive=is_case_sensitive)
            self._compiled = re2.compile(source, options)
        except re2.error as error:
            reason = error.args[0] if error.args else "unknown"
            said = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
            raise InvalidRequest(
                f"pattern {source!r} is not one of RE2: {said}; "
                "look-around and back-references are not supported",
                param="patterns",
            ) from error

    def spans(self, text: str, begin: int = 0) -> Iterator[Span]:
        """All matches from `begin` on that are not empty, in order and without overlaps."""
        for match in self._compiled.finditer(text, begin):
            if match.end() > match.start():
                yield match.start(), match.end()

    def first(self, text: str) -> Span | None:
        """The leftmost match, if there is one."""
        match = self._compiled.search(text)
        return None if match is None else (match.start(), match.end())


class PatternSet:
    """Tells which of many patterns match somewhere in a text, in a few passes.

    Few patterns share an automaton: its states are made as a text needs them, and a text written
    to need many of them needs more, the more patterns go together.
    """

    __slots__ = ("_sets",)

    def __init__(self, sources: Sequence[str], *, is_case_sensitive: bool = True) -> None:
        options = _options(SET_MEMORY_BYTES, is_case_sensitive=is_case_sensitive)
        self._sets = [
            (first, _set_of(sources[first : first + TOGETHER], options))
            for first in range(0, len(sources), TOGETHER)
        ]

    def matching(self, text: str) -> list[int]:
        """The numbers of the patterns that match, ascending."""
        data = text.encode()
        found: list[int] = []
        for first, patterns in self._sets:
            found += [first + number for number in sorted(patterns.Match(data) or ())]
        return found


def _set_of(sources: Sequence[str], options: re2.Options) -> re2.Set:
    patterns = re2.Set.SearchSet(options)
    for source in sources:
        patterns.Add(source)
    patterns.Compile()
    return patterns
