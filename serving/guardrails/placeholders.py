"""Placeholders for what is redacted, e.g. `[email_1]`: the same value the same one, and back.

A vault is of one request. Nothing in it comes from another one, so whatever placeholder a model
writes, it can show no more than what its own request held.
"""

import re

MAX_LENGTH = 48  # of a placeholder
_PLACEHOLDER = re.compile(r"\[([a-z][a-z0-9_]{0,39})_([0-9]{1,6})\]")
_OPEN = re.compile(r"\[(?:[a-z][a-z0-9_]{0,46})?$")


class Placeholders:
    """The placeholders of one request, and what they stand for."""

    def __init__(self) -> None:
        self._of_value: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._written: set[str] = set()

    def avoid(self, text: str) -> None:
        """What looks like a placeholder in a text of the request will not be one of ours."""
        if "[" in text:
            self._written.update(match[0] for match in _PLACEHOLDER.finditer(text))

    def of(self, kind: str, value: str, *, is_restored: bool = True) -> str:
        """The placeholder of `value`; one that is not restored is for the caller to see."""
        known = self._of_value.get((kind, value))
        if known is None:
            known = self._of_value[kind, value] = self._next(kind)
            if is_restored:
                self._values[known] = value
        return known

    def restore(self, text: str) -> str:
        """`text` with every placeholder of this request replaced by what it stands for."""
        if not self._values or "[" not in text:
            return text
        return _PLACEHOLDER.sub(lambda match: self._values.get(match[0], match[0]), text)

    def restoring(self) -> "Restoring":
        """The same of a text in chunks."""
        return Restoring(self)

    def _next(self, kind: str) -> str:
        while True:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            placeholder = f"[{kind}_{count}]"
            if placeholder not in self._written:
                return placeholder


class Restoring:
    """One answer. Holds back no more than what may be the beginning of a placeholder."""

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders
        self._held = ""

    def push(self, text: str) -> str:
        """What is certain now that `text` followed."""
        text = self._held + text
        opening = _OPEN.search(text, max(0, len(text) - MAX_LENGTH))
        at = len(text) if opening is None else opening.start()
        self._held = text[at:]
        return self._placeholders.restore(text[:at])

    def end(self) -> str:
        """What is left when nothing will follow."""
        held, self._held = self._held, ""
        return held
