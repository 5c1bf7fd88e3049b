"""Little stories of 40 to 80 words, long enough to watch them stream."""

from __future__ import annotations

from random import Random

import texts

_TEXTS = texts.load("chats")["story"]
ASKS = texts.lines(_TEXTS["asks"])
ASKS_ABOUT = texts.lines(_TEXTS["asks_about"])
STORIES = texts.lines(_TEXTS["replies"])
DEFAULT_HERO = "a little snail"


def tell(hero: str, rng: Random) -> str:
    """One of the stories with this hero, who is written as "a fox" or "Bob"."""
    return rng.choice(STORIES).format(hero=hero)
