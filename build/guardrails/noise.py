"""How people type: letters left out, doubled or swapped, no capitals, all capitals."""

from random import Random

_STEPS = 40  # one slip in so many letters


def typed(text: str, rng: Random) -> str:
    """The text as it is, or with one of the manners of people in a hurry."""
    chance = rng.random()
    if chance < 0.6:
        return text
    if chance < 0.72:
        return text.lower()
    if chance < 0.76:
        return text.upper()
    if chance < 0.84:
        return text.rstrip(".!?") + rng.choice(("", "!!", "...", " ?", " please"))
    if chance < 0.88:
        return rng.choice(("Hi! ", "hey, ", "Hello. ", "ok so ", "Question: ", "> ")) + text
    return _slipped(text, rng)


def _slipped(text: str, rng: Random) -> str:
    letters = list(text)
    for _ in range(1 + len(letters) // _STEPS):
        place = rng.randrange(max(1, len(letters) - 1))
        if letters[place : place + 2] and all(map(str.isalpha, letters[place : place + 2])):
            letters[place : place + 2] = _slip(letters[place], letters[place + 1], rng)
    return "".join(letters)


def _slip(first: str, second: str, rng: Random) -> list[str]:
    return rng.choice(([second, first], [first], [first, first, second]))
