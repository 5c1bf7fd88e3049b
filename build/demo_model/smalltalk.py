"""What the model chats about without remembering anything."""

from __future__ import annotations

from dataclasses import dataclass

import texts

DONT_KNOW = "I am only a small demo model, I don't know that."
_TEXTS = texts.load("topics")


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing to chat about: any of the asks may get any of the replies."""

    name: str
    asks: tuple[str, ...]
    replies: tuple[str, ...]


def _topic(table: dict[str, str], name: str) -> Topic:
    return Topic(name, texts.lines(table["asks"]), tuple(table["replies"]))


GREETINGS = _topic(_TEXTS["greet"], "greet")
TOPICS = tuple(_topic(table, table["name"]) for table in _TEXTS["topic"])
JOKES = texts.lines(_TEXTS["joke"]["replies"])
JOKE_ASKS = texts.lines(_TEXTS["joke"]["asks"])
MORE_JOKES_ASKS = texts.lines(_TEXTS["joke"]["asks_for_more"])
