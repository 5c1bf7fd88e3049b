"""Questions and tasks that are beyond the model, built from parts so that no two need be alike."""

from __future__ import annotations

from random import Random

import texts
from worlds import draw

_TEXTS = texts.load("questions")
FORMS = texts.lines(_TEXTS["forms"])
FORMS_WITHOUT_SUMS = tuple(form for form in FORMS if form.count("{number}") < 2)
NEWS = texts.lines(_TEXTS["news"])
WORDS: dict[str, list[str]] = {kind: block.split() for kind, block in _TEXTS["words"].items()}
VALUE_KINDS = {"odd": "invented", "field": "subject"}


def _word(hole: str, rng: Random) -> str:
    """A word for one hole of a form."""
    is_value = hole not in WORDS or (hole == "field" and rng.random() >= 0.8)
    if is_value:
        return draw(VALUE_KINDS.get(hole, hole), rng, held_out=False)
    return rng.choice(WORDS[hole])


def _fill(form: str, rng: Random) -> str:
    """The form with each hole filled on its own."""
    while "{" in form:
        hole = form[form.index("{") + 1 : form.index("}")]
        form = form.replace("{" + hole + "}", _word(hole, rng), 1)
    return form


def unknown(rng: Random) -> str:
    """A question or a task that the model must say it does not know."""
    return _fill(rng.choice(FORMS), rng)


def unknown_in_words(rng: Random) -> str:
    """A question or a task beyond the model which is no sum."""
    return _fill(rng.choice(FORMS_WITHOUT_SUMS), rng)


def news(rng: Random) -> str:
    """A statement that asks for nothing and is nothing to remember."""
    return _fill(rng.choice(NEWS), rng)
