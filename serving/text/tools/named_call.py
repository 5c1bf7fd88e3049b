"""One call as its name, a mark and the JSON object of its arguments, read as it comes."""

from collections.abc import Collection

from serving.text.tools.json_value import SPACE, JsonValue


class NamedCall:
    """Broken as soon as it cannot become a call of one of `names` any more."""

    def __init__(self, names: Collection[str], mark: str) -> None:
        self.name: str | None = None
        self._heads = tuple(f"{name}{mark}" for name in names)
        self._mark = mark
        self._head = ""
        self._value = JsonValue()
        self._has_begun = False
        self._arguments = ""
        self._is_wrong = False

    @property
    def is_complete(self) -> bool:
        return self._value.is_complete

    @property
    def is_broken(self) -> bool:
        return self._is_wrong or self._value.is_broken

    @property
    def is_certain(self) -> bool:
        """It is a call: nothing but the text of its arguments can still be wrong with it."""
        return self._has_begun

    def take_arguments(self) -> str:
        """Their text so far, without what was taken before."""
        text, self._arguments = self._arguments, ""
        return text

    def push(self, text: str, start: int = 0) -> int:
        """Where the part of `text` from `start` on that belongs to it ends."""
        at = start
        while at < len(text) and not (self.is_complete or self.is_broken):
            if self._has_begun:
                end = self._value.push(text, at)
                self._arguments += text[at:end]
                at = end
            elif self._take(text[at]):
                at += 1
        return at

    def _take(self, char: str) -> bool:
        """One character before the arguments; False: it is the first of them, or wrong."""
        if self.name is not None:
            self._has_begun = char == "{"
            self._is_wrong = not self._has_begun and char not in SPACE
            return not (self._has_begun or self._is_wrong)
        head = self._head + char
        if head in self._heads:
            self.name = head.removesuffix(self._mark)
        self._is_wrong = not any(each.startswith(head) for each in self._heads)
        self._head = head
        return not self._is_wrong
