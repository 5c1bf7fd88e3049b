"""Questions about a text that stands in the chat, also such as the text does not answer."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import noise
import texts
from chat import Chat, Message
from facts import with_article
from worlds import draw_word, is_held_out

_TEXTS = texts.load("reading")
MISSING: str = _TEXTS["missing"]
FILLERS = texts.lines(_TEXTS["fillers"])
PLACES: list[str] = _TEXTS["places"].split()
READY = "I have read it. What would you like to know?"


def _frames(field: str) -> tuple[str, ...]:
    return tuple(line.replace(r"\n", "\n") for line in texts.lines(_TEXTS[field]))


FRAMES, SYSTEM_FRAMES = _frames("frames"), _frames("system_frames")


@dataclass(frozen=True, slots=True)
class Attribute:
    """What can be told about a person or a place, and asked for."""

    name: str
    kind: str
    tells: tuple[str, ...]
    asks: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Told:
    """One fact of a text."""

    subject: str
    attribute: Attribute
    value: str

    def fill(self, form: str) -> str:
        """The form about this fact, with a capital at its start."""
        text = form.format(n=self.subject, v=self.value, a=with_article(self.value))
        return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class Passage:
    """A text, what it tells, and what it does not tell: pairs of subject and attribute."""

    text: str
    told: tuple[Told, ...]
    untold: tuple[Told, ...]


def _attributes(table: dict[str, Any]) -> tuple[Attribute, ...]:
    return tuple(
        Attribute(
            name, one["kind"], texts.lines(one["tells"]), texts.lines(one["asks"]), one["said"]
        )
        for name, one in table.items()
    )


PERSON, PLACE = _attributes(_TEXTS["person"]), _attributes(_TEXTS["place"])
BY_NAME = {one.name: one for one in PERSON + PLACE}


def value_of(kind: str, rng: Random, *, held_out: bool) -> str:
    """A value of any kind that a text can tell."""
    if kind == "hour":
        return f"{rng.randint(5, 23)}:{rng.choice(('00', '15', '30', '45'))}"
    if kind == "year":
        return str(rng.randint(1500, 2024))
    return draw_word(kind, rng, held_out=held_out)


def _subjects(rng: Random, *, held_out: bool) -> list[tuple[str, tuple[Attribute, ...]]]:
    people = {value_of("name", rng, held_out=held_out) for _ in range(rng.choice((1, 1, 2, 2, 3)))}
    places = {f"the {rng.choice(PLACES)}" for _ in range(rng.choice((1, 1, 2)))}
    kind = rng.random()
    chosen = [(name, PERSON) for name in sorted(people)] if kind < 0.7 else []
    return chosen + ([(name, PLACE) for name in sorted(places)] if kind > 0.55 else [])


def passage(rng: Random, *, held_out: bool, most: int = 7) -> Passage:
    """A text of one to `most` facts about one to three subjects."""
    subjects = _subjects(rng, held_out=held_out)
    every = [
        Told(name, attribute, value_of(attribute.kind, rng, held_out=held_out))
        for name, attributes in subjects
        for attribute in attributes
    ]
    rng.shuffle(every)
    count = rng.randint(min(2, most), most)
    told, untold = every[:count], every[count:]
    lines = [one.fill(rng.choice(one.attribute.tells)) for one in told]
    for _ in range(rng.choice((0, 0, 1, 2))):
        lines.insert(rng.randint(0, len(lines)), rng.choice(FILLERS))
    return Passage(" ".join(lines), tuple(told), tuple(untold))


def question(
    rng: Random, text: Passage, frame: str, *, held_out: bool, is_told: bool
) -> tuple[str, str]:
    """A question about the text, and its answer.

    Some pairs of attribute and frame are held out, whatever the values are.
    """
    told, untold = (
        [one for one in facts if is_held_out(f"{one.attribute.name} in {frame}") == held_out]
        for facts in (text.told, text.untold)
    )
    fact = rng.choice(told if is_told else untold)
    asked = fact.fill(rng.choice(fact.attribute.asks))
    if rng.random() < 0.2:
        asked = noise.without_end(asked)
    answer = fact.fill(fact.attribute.said) + "."
    return asked, answer if fact in text.told else MISSING


def has_side(facts: tuple[Told, ...], frame: str, *, held_out: bool) -> bool:
    """Whether one of the facts may be asked for in this frame."""
    return any(is_held_out(f"{one.attribute.name} in {frame}") == held_out for one in facts)


def _framed(chat: Chat, *, frames: tuple[str, ...]) -> tuple[Passage, str]:
    """A text and a frame in which one may ask for what it tells, and for what it does not."""
    held_out = chat.held_out
    while True:
        text = passage(chat.rng, held_out=held_out)
        frame = chat.rng.choice(frames)
        sides = (has_side(facts, frame, held_out=held_out) for facts in (text.told, text.untold))
        if all(sides):
            return text, frame


def ask_more(chat: Chat, text: Passage, frame: str, *, count: int) -> None:
    """Some more questions about a text that was given before."""
    for _ in range(count):
        is_told = chat.rng.random() < 0.7
        asked, answer = question(chat.rng, text, frame, held_out=chat.held_out, is_told=is_told)
        chat.say(asked, answer)


def read(chat: Chat, *, is_told: bool | None = None) -> None:
    """A text and a question in one message."""
    text, frame = _framed(chat, frames=FRAMES)
    told = chat.rng.random() < 0.65 if is_told is None else is_told
    asked, answer = question(chat.rng, text, frame, held_out=chat.held_out, is_told=told)
    chat.say(frame.format(text=text.text, question=asked), answer)
    if is_told is None:
        ask_more(chat, text, frame, count=chat.rng.choice((0, 1, 1, 2, 3)))


def read_system(chat: Chat, *, is_told: bool | None = None) -> None:
    """A text in the system message, or one that the user gives first; then questions."""
    frames = SYSTEM_FRAMES if not chat.messages else ("Read this text: {text}",)
    text, frame = _framed(chat, frames=frames)
    given = frame.format(text=text.text)
    if chat.messages:
        chat.say(given, READY)
    else:
        chat.messages.append(Message("system", given))
    if is_told is None:
        ask_more(chat, text, frame, count=chat.rng.randint(1, 4))
        return
    asked, answer = question(chat.rng, text, frame, held_out=chat.held_out, is_told=is_told)
    chat.say(asked, answer)
