"""The words of a text and their neighbours as numbers: what a vector of its meaning leaves out."""

import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

BUCKETS = 16_384
MOST_WORDS = 200
STEM = 6  # letters of a word that count
PIECE = 4  # letters of a piece of a word: what slips of the pen and endings leave
# Thai, kana, Han and Hangul, whose words nothing parts, or whose endings hide them: by the letter.
_UNPARTED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNPARTED}]|[^\W\d_{_UNPARTED}]+|[0-9]|[^\w\s]")

Features = npt.NDArray[np.float32]


def features(texts: Sequence[str]) -> Features:
    """[texts, BUCKETS]: the square root of one over how many there are, for each that is there."""
    found = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in zip(found, texts, strict=True):
        places = list({zlib.crc32(gram.encode()) % BUCKETS for gram in _grams(text)})
        if places:
            row[places] = len(places) ** -0.5
    return found


def _grams(text: str) -> Iterator[str]:
    """Words, pairs of neighbours, pairs with one word between them, and pieces of words."""
    whole = _WORD.findall(text.lower())[:MOST_WORDS]
    words = [word[:STEM] for word in whole]
    yield from words
    yield from (f"{first} {second}" for first, second in pairwise(words))
    yield from (f"{first} _ {second}" for first, second in zip(words, words[2:], strict=False))
    for word in whole:
        if len(word) > PIECE:
            yield from (f"#{word[at : at + PIECE]}" for at in range(len(word) - PIECE + 1))
