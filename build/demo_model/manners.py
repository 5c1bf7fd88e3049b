"""Manners of answering that a system message asks for: capitals, one word, an ending, …."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import dialogues
import recall
import sums
import texts
from chat import Chat, Message
from facts import NAME
from questions import unknown_in_words
from smalltalk import DONT_KNOW
from styles import shortened
from worlds import draw_word, is_held_out

_TEXTS = texts.load("manners")
ASKS = {name: texts.lines(block) for name, block in _TEXTS["asks"].items()}
ENDINGS: list[str] = _TEXTS["words"]["endings"].split()
UNKNOWN: str = _TEXTS["words"]["unknown"]


@dataclass(frozen=True, slots=True)
class Manner:
    """What the system message says, and how a reply becomes what it asks for."""

    name: str
    asked: str
    say: Callable[[str], str]


def one_word(reply: str) -> str:
    """The reply in one word: a value, a number, or what is left of a phrase."""
    if reply == DONT_KNOW or reply.startswith("You have not told"):
        return UNKNOWN
    if " = " in reply:
        return reply.rpartition(" = ")[2]
    first = shortened(reply).split()[0]
    return first.rstrip(".,!") + "."


def with_ending(reply: str, word: str) -> str:
    """The reply with a word at its end, such as "Your name is Bob, over."."""
    end = reply[-1] if reply[-1] in "?!" else "."
    return f"{reply.rstrip('.?!')}, {word}{end}"


def _ending_word(rng: Random, *, held_out: bool) -> str:
    while True:
        known = rng.random() < 0.5
        word = rng.choice(ENDINGS) if known else draw_word("invented", rng, held_out=held_out)
        if is_held_out(word) == held_out:
            return word


def draw_manner(rng: Random, *, held_out: bool, name: str | None = None) -> Manner:
    """A manner; the word of an ending comes from the wanted side of the split."""
    name = name or rng.choice(("capitals", "small", "one_word", "ending", "ending"))
    asked = rng.choice(ASKS[name])
    if name == "ending":
        word = _ending_word(rng, held_out=held_out)
        return Manner(name, asked.format(w=word), lambda reply: with_ending(reply, word))
    says = {"capitals": str.upper, "small": str.lower, "one_word": one_word}
    return Manner(name, asked, says[name])


def unknown(chat: Chat) -> None:
    """A question beyond the model."""
    chat.say(chat.typed(unknown_in_words(chat.rng)), DONT_KNOW)


TURNS: dict[str, Callable[[Chat], None]] = {
    "tell": recall.tell,
    "name": lambda chat: recall.tell(chat, NAME),
    "ask": recall.ask,
    "greet": dialogues.greet,
    "unknown": unknown,
    "sum": lambda chat: sums.calculate(chat, signs="+*"),
    "small_talk": dialogues.small_talk,
}
# Kinds of turns which never have this manner in training.
HELD_OUT_TURNS = {"capitals": "unknown", "small": "greet", "one_word": "sum", "ending": "unknown"}
WEIGHTS = (3, 2, 5, 1, 2, 1, 3)


def speak(chat: Chat, manner: Manner, turns: list[str]) -> None:
    """Turns of these kinds, all answered in the manner."""
    start = len(chat.messages)
    for turn in turns:
        TURNS[turn](chat)
    chat.messages[start:] = [
        replace(one, content=manner.say(one.content)) if one.role == "assistant" else one
        for one in chat.messages[start:]
    ]


def behave(chat: Chat) -> None:
    """A system message with a manner, often among other sentences, and some turns in it."""
    rng = chat.rng
    manner = draw_manner(rng, held_out=chat.held_out)
    parts = [*rng.sample(dialogues.SYSTEMS, rng.choice((0, 0, 1))), manner.asked]
    rng.shuffle(parts)
    chat.messages.append(Message("system", " ".join(parts)))
    kinds = [turn for turn in TURNS if turn != HELD_OUT_TURNS[manner.name]]
    weights = [weight for turn, weight in zip(TURNS, WEIGHTS, strict=True) if turn in kinds]
    turns = rng.choices(kinds, weights, k=rng.randint(2, 5))
    speak(chat, manner, ["tell", *turns] if rng.random() < 0.5 else turns)
