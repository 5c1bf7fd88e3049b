"""Small arithmetic: up to 99 with plus and minus, up to 12 with times."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import texts
from chat import Chat
from smalltalk import DONT_KNOW
from worlds import is_held_out

_TEXTS = texts.load("sums")
ASKS = {sign: texts.lines(_TEXTS["asks"][sign]) for sign in ("+", "-", "*")}
STORIES = {sign: texts.lines(_TEXTS["stories"][sign]) for sign in ("+", "-", "*")}
TOO_LARGE = texts.lines(_TEXTS["too_large"])
LARGEST, LARGEST_FACTOR = 99, 12


@dataclass(frozen=True, slots=True)
class Sum:
    """Two numbers and "+", "-" or "*"; a difference is never negative."""

    a: int
    sign: str
    b: int

    @property
    def result(self) -> int:
        """What it comes to."""
        return {"+": self.a + self.b, "-": self.a - self.b, "*": self.a * self.b}[self.sign]

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept for tests.

        Of a product only one order is ever kept, so that the other order can teach it.
        """
        if self.sign != "*":
            return is_held_out(f"{self.a}{self.sign}{self.b}")
        low, high = sorted((self.a, self.b))
        kept_order = low if is_held_out(f"order of {low} and {high}") else high
        return low != high and self.a == kept_order and is_held_out(f"{low}*{high}")

    def __str__(self) -> str:
        return f"{self.a} {self.sign} {self.b} = {self.result}"


def draw(rng: Random, *, held_out: bool, signs: str = "+-*") -> Sum:
    """A sum from the wanted side of the split; small numbers come more often than evenly."""
    while True:
        sign = rng.choice(signs)
        top = LARGEST_FACTOR if sign == "*" else rng.choice((10, LARGEST, LARGEST))
        a, b = rng.randint(0, top), rng.randint(0, top)
        one = Sum(max(a, b), sign, min(a, b)) if sign == "-" else Sum(a, sign, b)
        if one.is_held_out == held_out:
            return one


def calculate(chat: Chat, *, signs: str = "+-*") -> None:
    """The user asks for a sum; the answer writes it out."""
    one = draw(chat.rng, held_out=chat.held_out, signs=signs)
    forms = STORIES if chat.rng.random() < 0.1 else ASKS
    asked = chat.rng.choice(forms[one.sign])
    chat.say(chat.typed(asked, {"a": str(one.a), "b": str(one.b)}), f"{one}.")


def too_large(chat: Chat) -> None:
    """A task with numbers that the model has not learned."""
    rng = chat.rng
    large, other = rng.randint(200, 99_999), rng.randint(13, 99_999)
    a, b = rng.sample((large, other), 2)
    holes = {"a": str(a), "b": str(b), "large": str(large)}
    chat.say(chat.typed(rng.choice(TOO_LARGE), holes), DONT_KNOW)
