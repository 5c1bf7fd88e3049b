"""What a check found in a text: a kind and where. Plain data, and how to search many kinds."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

Span = tuple[int, int]
Search = Callable[[str], Iterator[Span]]

# Letters and digits of the scripts whose words are set apart; others stand next to one another.
# Patterns name them instead of \w: a name or number between Chinese characters is found, too.
WORD = r"0-9A-Za-z_À-ӿ"
TAKEN = "\0"  # in no pattern, and not part of a word


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[begin:end]` is `what`, as sure as `score` says."""

    what: str
    begin: int
    end: int
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds one kind of data. `form` is a pattern of all that it finds, and maybe more.

    None: it finds parts of single words, where words are what stands between blanks.
    """

    what: str
    search: Search
    form: str | None = None


def found_by(detectors: Iterable[Detector], text: str) -> list[Finding]:
    """What is found, in order and without overlaps: the detectors that come first go first."""
    found: list[Finding] = []
    for detector in detectors:
        spans = list(detector.search(text))
        if spans:
            found += [Finding(detector.what, begin, end) for begin, end in spans]
            text = replaced(text, spans, [TAKEN * (end - begin) for begin, end in spans])
    return sorted(found, key=lambda finding: finding.begin)


def replaced(text: str, spans: Sequence[Span], replacements: Sequence[str]) -> str:
    """`text` with every span, in order and without overlaps, replaced."""
    pieces, kept_to = [], 0
    for (begin, end), replacement in zip(spans, replacements, strict=True):
        pieces += [text[kept_to:begin], replacement]
        kept_to = end
    return "".join([*pieces, text[kept_to:]])


def matches(
    pattern: re.Pattern[str],
    is_one: Callable[[str], bool] | None = None,
    *,
    group: int | str = 0,
) -> Search:
    """All matches of `pattern`, or of a group of it, that pass for `is_one`.

    One that does not pass hides no other that begins within it. Matches have a greatest length.
    """
    if is_one is None:
        return lambda text: (match.span(group) for match in pattern.finditer(text))

    def search(text: str) -> Iterator[Span]:
        at = 0
        while match := pattern.search(text, at):
            passes = is_one(match[group])
            at = match.end() if passes else match.start() + 1
            if passes:
                yield match.span(group)

    return search
