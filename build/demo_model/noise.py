"""How people really type: small letters, missing punctuation, slips of the finger, politeness."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

HOLE = "{"


def slip(word: str, rng: Random) -> str:
    """The word with two letters swapped, one lost or one doubled."""
    at = rng.randrange(1, len(word) - 1)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return rng.choice((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))


def with_typo(text: str, rng: Random, *, is_allowed: Callable[[str], bool]) -> str:
    """The text with one longer word mistyped, if the outcome is allowed; holes stay whole."""
    words = text.split(" ")
    spots = [i for i, word in enumerate(words) if len(word) > 3 and HOLE not in word]
    if not spots:
        return text
    spot = rng.choice(spots)
    typo = slip(words[spot], rng)
    if is_allowed(typo):
        words[spot] = typo
    return " ".join(words)


def without_end(text: str) -> str:
    """The text without its closing punctuation."""
    return text.rstrip("?!. ") or text


def recased(text: str, rng: Random) -> str:
    """The text as it is, or in small letters, or rarely shouted."""
    draw = rng.random()
    if draw < 0.35:
        return text.lower()
    return text.upper() if draw > 0.98 else text


def decorated(text: str, rng: Random) -> str:
    """The text with a word of politeness before or after it, now and then."""
    draw = rng.random()
    if draw < 0.03:
        return "Please " + text[:1].lower() + text[1:]
    if draw < 0.06:
        return without_end(text) + " please"
    if draw < 0.10:
        return rng.choice(("Hi, ", "Ok, ", "So, ", "Hey, ", "And ", "Well, ")) + text
    if draw < 0.13:
        return without_end(text) + rng.choice(("!", "!!", "...", " :)", "??", " ?", "."))
    return text
