"""A chat in the making, and how its lines are typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import noise
from facts import with_article
from worlds import draw, is_held_out


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; role is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(slots=True)
class Chat:
    """A chat in the making: what was said, and what the model was told."""

    rng: Random
    held_out: bool = False
    messages: list[Message] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    jokes: list[str] = field(default_factory=list)

    def say(self, user: str, reply: str) -> None:
        """Append one exchange."""
        self.messages += [Message("user", user), Message("assistant", reply)]

    def typed(self, text: str, holes: dict[str, str] | None = None) -> str:
        """The text as a person types it; the values that fill its holes stay as they are."""
        rng = self.rng
        if rng.random() < 0.5:
            text = noise.without_end(text)
        text = noise.decorated(text, rng)
        if rng.random() < 0.06:
            text = noise.with_typo(text, rng, is_allowed=lambda word: not is_value(word))
        text = noise.recased(text, rng) if "{" not in text else recased_form(text, rng)
        return text.format(**holes) if holes else text

    def value(self, kind: str) -> str:
        """A value for this chat, sometimes typed in small letters."""
        value = draw(kind, self.rng, held_out=self.held_out)
        return value.lower() if self.rng.random() < 0.25 else value


def is_value(word: str) -> bool:
    """Whether a mistyped word could be mistaken for a held-out value."""
    return is_held_out(word.strip("?!.,'"))


def recased_form(text: str, rng: Random) -> str:
    """A form with holes, in small letters now and then; the names of the holes are small anyway."""
    return text.lower() if rng.random() < 0.3 else text


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text[:1].upper() + text[1:] + "."


def holes(value: str) -> dict[str, str]:
    """What a form about a value may contain."""
    return {"v": value, "a": with_article(value)}
