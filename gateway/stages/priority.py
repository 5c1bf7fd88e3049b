"""Prioritize: the class in which a request is served, of those that its principal may use."""

from dataclasses import replace

from gateway.ask import Ask
from serving.contract.grant import CLASSES, STANDARD

_UNSIGNED = CLASSES[CLASSES.index(STANDARD) :]


def prioritize(ask: Ask, classes: tuple[str, ...] | None) -> Ask:
    """`ask` in the class it asks for, else in standard, if `classes` (None: all) has that one.

    If not it is the next lower one they have, or the lowest. A class that nobody asked for and
    that is standard stays open.
    """
    asked = class_of(ask)
    given = allowed(asked, classes)
    if given == asked:
        return ask
    return replace(ask, calls=tuple(replace(call, priority=given) for call in ask.calls))


def unsigned(classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Those of `classes` that BLS models give a request without a grant."""
    return tuple(name for name in _UNSIGNED if classes is None or name in classes)


def class_of(ask: Ask) -> str:
    """The class of all its calls."""
    return ask.calls[0].priority or STANDARD


def allowed(asked: str, classes: tuple[str, ...] | None) -> str:
    """The class for one that asks for `asked` and may use `classes`."""
    if classes is None or asked in classes:
        return asked
    known = [name for name in CLASSES if name in classes] or [CLASSES[-1]]
    lower = [name for name in known if CLASSES.index(name) > CLASSES.index(asked)]
    return lower[0] if lower else known[-1]
