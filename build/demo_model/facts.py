"""What people tell about themselves: how they say it, how they ask for it, how it is recalled."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import texts

_TEXTS = texts.load("facts")
OPENINGS = ("I {}", "I {}.", "i {}", "By the way, I {}.", "Remember that I {}.", "Also, I {}")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that can be told. `{v}` is the value, `{a}` the value with its article."""

    key: str
    kind: str
    tells: tuple[str, ...]
    asks: tuple[str, ...]
    recall: str
    missing: str

    def statement(self, value: str) -> str:
        """What the model knows, as a sentence without its capital and its full stop."""
        return self.recall.format(v=value, a=with_article(value))


def with_article(word: str) -> str:
    """The word after "a" or "an"."""
    return ("an " if word[:1].lower() in "aeiou" else "a ") + word


def forms(table: str, field: str, hole: str, word: str) -> tuple[str, ...]:
    """The lines of a table's field with one hole filled; the holes for values stay."""
    return tuple(line.replace("{" + hole + "}", word) for line in texts.lines(_TEXTS[table][field]))


def my(key: str, kind: str, *, tells: tuple[str, ...] = (), asks: tuple[str, ...] = ()) -> Fact:
    """A fact of the form "my … is …", with further ways to tell it and to ask for it."""
    return Fact(
        key,
        kind,
        forms("my", "tells", "key", key) + tells,
        forms("my", "asks", "key", key) + asks,
        f"your {key} is {{v}}",
        f"You have not told me your {key} yet.",
    )


def favourite(noun: str, spelling: str) -> Fact:
    """The favourite of a kind, in the British or the American spelling."""
    return my(
        f"{spelling} {noun}",
        FAVOURITES[noun],
        tells=forms("favourite", "tells", "noun", noun),
        asks=forms("favourite", "asks", "noun", noun),
    )


def named(owner: str) -> Fact:
    """The name of a pet or of a relative."""
    return my(
        f"{owner}'s name",
        "name",
        tells=forms("named", "tells", "owner", owner),
        asks=forms("named", "asks", "owner", owner),
    )


def thing(noun: str, kind: str) -> Fact:
    """Something to keep in mind for the user, such as "the word is …"."""
    return Fact(
        f"the {noun}",
        kind,
        forms("thing", "tells", "noun", noun),
        forms("thing", "asks", "noun", noun),
        f"the {noun} is {{v}}",
        f"You have not told me the {noun} yet.",
    )


def verb(table: dict[str, Any]) -> Fact:
    """A fact that is told with a verb, such as "I live in …"."""
    told = texts.lines(table["told"])
    tells = tuple(opening.format(text) for text in told for opening in OPENINGS)
    return Fact(
        table["key"],
        table["kind"],
        tells + texts.lines(table.get("also", "")),
        texts.lines(table["asks"]),
        table["recall"],
        f"You have not told me {table['missing']} yet.",
    )


def concept(key: str) -> str:
    """What a key is about, whichever way it is spelled."""
    return key.replace("favorite", "favourite").replace("color", "colour")


FAVOURITES: dict[str, str] = _TEXTS["favourite"]["kinds"]
ASKED_MORE_OFTEN: list[str] = _TEXTS["favourite"]["asked_more_often"].split()
SPELLINGS_OF_FAVOURITE = ("favourite", "favorite")
NAME = Fact(
    "name",
    "name",
    texts.lines(_TEXTS["name"]["tells"]),
    texts.lines(_TEXTS["name"]["asks"]),
    "your name is {v}",
    "You have not told me your name yet.",
)
GROUPS: tuple[tuple[float, list[Fact]], ...] = (
    (0.30, [NAME]),
    (0.14, [favourite(noun, "favourite") for noun in FAVOURITES]),
    (0.10, [favourite(noun, "favorite") for noun in FAVOURITES]),
    (0.10, [favourite(noun, s) for noun in ASKED_MORE_OFTEN for s in SPELLINGS_OF_FAVOURITE]),
    (0.07, [named(owner) for owner in texts.lines(_TEXTS["named"]["pets"])]),
    (0.05, [named(owner) for owner in texts.lines(_TEXTS["named"]["relatives"])]),
    (0.08, [my(key, kind) for key, kind in _TEXTS["possessions"].items()]),
    (0.12, [verb(table) for table in _TEXTS["verb"]]),
    (0.04, [thing(noun, kind) for noun, kind in _TEXTS["thing"]["kinds"].items()]),
)
FACTS: dict[str, Fact] = {fact.key: fact for _, group in GROUPS for fact in group}
SPELLINGS: dict[str, list[Fact]] = {}
for _fact in FACTS.values():
    SPELLINGS.setdefault(concept(_fact.key), []).append(_fact)


def pick(rng: Random) -> Fact:
    """A fact at random; names and favourites come most often."""
    group = rng.choices([facts for _, facts in GROUPS], [weight for weight, _ in GROUPS])[0]
    return rng.choice(group)
