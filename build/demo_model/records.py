"""Short JSON objects out of what a message or the chat so far told."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import noise
import reading
import texts
from chat import Chat, Message, holes, sentence
from facts import FACTS
from tool_calls import Value, compact
from worlds import draw_word, is_held_out

_TEXTS = texts.load("records")
ASKS = texts.lines(_TEXTS["asks"])
FIELDS = {attribute: names.split() for attribute, names in _TEXTS["fields"].items()}
READY = "Got it."
USER_FACTS = {
    "name": "name",
    "town": "live",
    "job": "work",
    "age": "age",
    "food": "like",
    "dog": "dog's name",
    "colour": "favourite colour",
    "hobby": "play",
    "drink": "favourite drink",
    "friend": "best friend's name",
}


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _draw_attributes(rng: Random, *, held_out: bool) -> list[str]:
    """One to four attributes in an order that is on the wanted side of the split."""
    while True:
        chosen = rng.sample(list(FIELDS), rng.choice((1, 2, 2, 3, 3, 4)))
        if is_held_out(f"json {' '.join(chosen)}") == held_out:
            return chosen


def _told(
    rng: Random, attributes: Sequence[str], *, held_out: bool
) -> tuple[str, dict[str, Value]]:
    """Sentences about one person, and the values by attribute."""
    name = reading.value_of("name", rng, held_out=held_out)
    values: dict[str, Value] = {"name": name}
    lines = []
    for attribute in attributes:
        if attribute == "name":
            continue
        spec = reading.BY_NAME[attribute]
        value = reading.value_of(spec.kind, rng, held_out=held_out)
        lines.append(reading.Told(name, spec, value).fill(rng.choice(spec.tells)))
        values[attribute] = int(value) if attribute == "age" else value
    rng.shuffle(lines)
    return " ".join(lines) or f"This is {name}.", values


def _told_by_user(
    rng: Random, attributes: Sequence[str], *, held_out: bool
) -> tuple[str, dict[str, Value]]:
    """The same about the user, in the words of chats."""
    values: dict[str, Value] = {}
    lines = []
    for attribute in attributes:
        fact = FACTS[USER_FACTS[attribute]]
        value = draw_word(fact.kind, rng, held_out=held_out)
        lines.append(sentence(noise.without_end(rng.choice(fact.tells).format(**holes(value)))))
        values[attribute] = int(value) if attribute == "age" else value
    return " ".join(lines) or "Hi.", values


def record(chat: Chat) -> None:
    """A person is described, then some of what was said is asked for as JSON; null: not said."""
    rng = chat.rng
    wanted = _draw_attributes(rng, held_out=chat.held_out)
    told = [one for one in wanted if rng.random() < 0.92]
    told += [one for one in FIELDS if one not in wanted and rng.random() < 0.15]
    tellers = (_told, _told, _told_by_user)
    text, values = rng.choice(tellers)(rng, told, held_out=chat.held_out)
    names = {attribute: rng.choice(FIELDS[attribute]) for attribute in wanted}
    asked = rng.choice(ASKS).format(fields=_listed(list(names.values())))
    asked = asked[:1].upper() + asked[1:]
    answer = compact({names[one]: values.get(one) for one in wanted})
    shape = rng.random()
    if shape < 0.6:
        chat.say(f"{text} {asked}", answer)
    elif shape < 0.8:
        chat.say(f"{asked}\n{text}", answer)
    elif chat.messages:
        chat.say(text, READY)
        chat.say(asked, answer)
    else:
        chat.messages.append(Message("system", text))
        chat.say(asked, answer)
