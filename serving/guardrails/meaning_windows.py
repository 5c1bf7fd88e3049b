"""The pieces of a conversation that are read for their meaning, and which where there are too many.

Sizes in tokens are estimated from the characters: the model's own tokens are not known here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from serving.contract.guardrails import UNTRUSTED, Stage
from serving.guardrails.encodings import decoded

WINDOW_TOKENS = 128
# An instruction that hides in a page is a sentence or two: in a larger window its meaning drowns.
UNTRUSTED_TOKENS = 48
MOST_WINDOWS = 24
MOST_CHARACTERS = 65_536  # of a longer passage one half is read at its head, one at its tail
_CHARACTERS_A_TOKEN = 4.5
_SENTENCE = re.compile(r"[^.!?。!?\n]+[.!?。!?\n]*\s*|[.!?。!?\n]+\s*")
_DENSE = re.compile(r"[^\x00-\u024f\s]|[0-9]|[^\w\s]")  # each about a token of its own
_SUSPICIOUS = re.compile(
    r"\b(?:ignor|disregard|forget|overrid|bypass|instruct|prompt|system|assistant|pretend|reveal|"
    r"secret|password|previous|jailbreak|rules|restrict|admin|you (?:are|must)|tool|send|https?|"
    r"AI\b|LLM|important)|<\||\[/?INST|<!--|###",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of a conversation; `place` is the number of its message or call."""

    text: str
    stage: Stage
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """`begin` to `end` of a passage's text."""

    text: str
    stage: Stage
    place: int | None = None
    begin: int = 0
    end: int = 0


def windows(passages: Sequence[Passage], limit: int = MOST_WINDOWS) -> tuple[Window, ...]:
    """At most `limit`: of untrusted passages and the last one first, the latest before the others.

    `passages` are in the order of the conversation. A passage that has more windows than are left
    for it is read at its head, its tail and where it has most words that attacks are made of. What
    is encoded in it comes decoded, with the place where it stands.
    """
    found: list[Window] = []
    for passage in _in_order(passages):
        if len(found) >= limit:
            break
        found += _best([*_decoded(passage), *_cut(passage)], limit - len(found))
    return tuple(found)


def _in_order(passages: Sequence[Passage]) -> list[Passage]:
    late = list(reversed(passages))
    first = [p for n, p in enumerate(late) if n == 0 or p.stage in UNTRUSTED]
    return first + [p for n, p in enumerate(late) if n > 0 and p.stage not in UNTRUSTED]


def _best(found: Sequence[Window], limit: int) -> list[Window]:
    if len(found) <= limit:
        return list(found)
    ends = [found[0], found[-1]][:limit]
    middle = sorted(found[1:-1], key=lambda window: -len(_SUSPICIOUS.findall(window.text)))
    return ends + middle[: limit - len(ends)]


def _decoded(passage: Passage) -> Iterator[Window]:
    for one in decoded(passage.text[:MOST_CHARACTERS]):
        read = one.text[: int(WINDOW_TOKENS * _CHARACTERS_A_TOKEN)]
        yield Window(read, passage.stage, passage.place, one.begin, one.end)


def _cut(passage: Passage) -> Iterator[Window]:
    """Whole sentences where they fit; the last one of a window begins the next, if it is short."""
    most = UNTRUSTED_TOKENS if passage.stage in UNTRUSTED else WINDOW_TOKENS
    spans = list(_sentences(passage.text, most))
    begin, tokens = 0, 0.0
    for number, (_, _, size) in enumerate(spans):
        if number > begin and tokens + size > most:
            yield _window(passage, spans[begin][0], spans[number - 1][1])
            is_kept = spans[number - 1][2] <= most / 3 and spans[number - 1][2] + size <= most
            begin = number - 1 if is_kept else number
            tokens = sum(span[2] for span in spans[begin:number])
        tokens += size
    if spans:
        yield _window(passage, spans[begin][0], spans[-1][1])


def _window(passage: Passage, begin: int, end: int) -> Window:
    return Window(passage.text[begin:end], passage.stage, passage.place, begin, end)


def _sentences(text: str, most: int) -> Iterator[tuple[int, int, float]]:
    """Where each begins and ends, and about how many tokens it has; one that is longer than `most`
    is cut between words, or anywhere."""
    for head, tail in _read(text):
        for match in _SENTENCE.finditer(text, head, tail):
            yield from _pieces(text, match.start(), match.end(), most)


def _read(text: str) -> tuple[tuple[int, int], ...]:
    if len(text) <= MOST_CHARACTERS:
        return ((0, len(text)),)
    half = MOST_CHARACTERS // 2
    return ((0, half), (len(text) - half, len(text)))


def _pieces(text: str, begin: int, end: int, most: int) -> Iterator[tuple[int, int, float]]:
    while (size := tokens_about(text[begin:end])) > most:
        cut = begin + max(1, int((end - begin) * most / size))
        space = text.rfind(" ", begin + 1, cut)
        cut = space + 1 if space > (begin + cut) // 2 else cut
        yield begin, cut, tokens_about(text[begin:cut])
        begin = cut
    if text[begin:end].strip():
        yield begin, end, size


def tokens_about(text: str) -> float:
    """How many tokens it has, give or take a fifth."""
    dense = len(_DENSE.findall(text))
    return dense + (len(text) - dense) / _CHARACTERS_A_TOKEN
