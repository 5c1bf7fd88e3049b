"""Whether a value fits a JSON schema (2020-12), in bounded steps. Pure: nothing is fetched."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from serving.guardrails.tools.schema_words import KEYWORDS, UNKNOWN

MAX_STEPS = 50_000

# A schema is the client's own text: nobody has looked at what it is made of.
_WRONG = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


class Unreadable(ValueError):
    """The schema asks for more steps than are allowed, or for what cannot be told here."""


def fits(value: Any, schema: Mapping[str, Any] | bool) -> bool:
    """False also for a schema that is wrong, too costly, or has a keyword that is not known here.

    Those are what `unevaluated…`, `$dynamicRef`, `dependencies` and `additionalItems` say, and
    references to elsewhere. Keywords of nobody's are ignored, as the standard says; so is `format`.
    """
    try:
        return Reading(schema).fits(value, schema)
    except (*_WRONG, RecursionError, re2.error):
        return False


class Reading:
    """One value read against one schema, and how many steps that took."""

    __slots__ = ("_left", "_root")

    def __init__(self, root: Mapping[str, Any] | bool) -> None:
        self._root = root
        self._left = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        """Raises Unreadable when that is more than are left."""
        self._left -= steps
        if self._left < 0:
            raise Unreadable

    def fits(self, value: Any, schema: Any) -> bool:
        self.spend()
        if isinstance(schema, bool):
            return schema
        if not UNKNOWN.isdisjoint(schema):
            raise Unreadable
        for name, wanted in schema.items():
            check = KEYWORDS.get(name)
            if check is None:
                continue
            self.spend()
            if not check(self, wanted, schema, value):
                return False
        return True

    def matches(self, pattern: str, text: str) -> bool:
        self.spend(len(text) // 100)
        return compiled(pattern).search(text) is not None

    def key(self, value: Any) -> Any:
        """Two values have the same if they are equal as JSON: 1 is 1.0, and not true."""
        self.spend()
        match value:
            case bool():
                return (value,)
            case list():
                return ("list", tuple(map(self.key, value)))
            case dict():
                return ("object", frozenset((name, self.key(v)) for name, v in value.items()))
        return value

    def referred(self, reference: str) -> Any:
        """What `#/…` stands for. Raises LookupError, and Unreadable for other references."""
        if reference != "#" and not reference.startswith("#/"):
            raise Unreadable
        found: Any = self._root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found[int(name)] if isinstance(found, list) else found[name]
        return found


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Its matching takes linear time, whatever the pattern."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
