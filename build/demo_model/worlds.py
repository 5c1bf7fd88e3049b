"""The values that people tell (names, colours, …) and which of them are held out for tests."""

from __future__ import annotations

import hashlib
from random import Random

import texts

HELD_OUT_SHARE = 8
TWO_WORDS_SHARE = 0.07
WITHOUT_SPLIT = ("number", "code", "age")

_TEXTS = texts.load("words")
VALUES: dict[str, list[str]] = {kind: block.split() for kind, block in _TEXTS["values"].items()}
ONSETS: list[str] = _TEXTS["syllables"]["onsets"].split()
VOWELS: list[str] = _TEXTS["syllables"]["vowels"].split()
CODAS: list[str] = [*[""] * 4, *_TEXTS["syllables"]["codas"].split()]
ACCENTED = str.maketrans("aeioun", "áéíöüñ")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def is_held_out(word: str) -> bool:
    """Whether a value is kept for tests; it depends on the letters only, not on their case."""
    digest = hashlib.sha256(word.lower().encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def invented_word(rng: Random) -> str:
    """A pronounceable word that no language knows, such as "brouk" or "tevio"."""
    count = rng.choices((1, 2, 3), (1, 6, 3))[0]
    word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(count))
    word += rng.choice(CODAS)
    return word.translate(ACCENTED) if rng.random() < 0.04 else word


def letter_salad(rng: Random) -> str:
    """Letters at random: what copying must survive."""
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 6)))


def code(rng: Random) -> str:
    """A short number or a mix such as "k7-42"."""
    if rng.random() < 0.7:
        return str(rng.randrange(10 ** rng.randint(1, 5)))
    return f"{rng.choice(LETTERS)}{rng.randrange(10)}-{rng.randrange(100)}"


def _draft(kind: str, rng: Random) -> str:
    if kind in ("number", "code"):
        return code(rng)
    if kind == "age":
        return str(rng.randint(5, 99))
    known = VALUES.get(kind, [])
    if known and rng.random() < 0.5:
        return rng.choice(known)
    word = letter_salad(rng) if rng.random() < 0.15 else invented_word(rng)
    return word.capitalize() if kind in ("name", "town", "subject") else word


def draw_word(kind: str, rng: Random, *, held_out: bool) -> str:
    """A one-word value of a kind ("name", "colour", …) from the wanted side of the split.

    Numbers and ages have no held-out side: any digits may come.
    """
    while True:
        value = _draft(kind, rng)
        if kind in WITHOUT_SPLIT or is_held_out(value) == held_out:
            return value


def draw(kind: str, rng: Random, *, held_out: bool) -> str:
    """A value as `draw_word` gives it, or now and then two words, such as "Anna Lee"."""
    value = draw_word(kind, rng, held_out=held_out)
    if kind in WITHOUT_SPLIT or rng.random() > TWO_WORDS_SHARE:
        return value
    return f"{value} {draw_word(kind, rng, held_out=held_out)}"
