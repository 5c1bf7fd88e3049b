"""Lua scripts, and commands that run them wherever they are not known yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib import resources

Word = str | bytes | int | float


@dataclass(frozen=True, slots=True)
class Command:
    """One command to Redis. `fallback` is what to send when Redis does not know the script."""

    words: tuple[Word, ...]
    fallback: tuple[Word, ...] | None = None


class Script:
    """The Lua files `names`, one after the other, as one script."""

    def __init__(self, *names: str) -> None:
        folder = resources.files("serving.adapters").joinpath("lua")
        self.source = "\n".join(folder.joinpath(f"{name}.lua").read_text() for name in names)
        # What Redis calls a script by; nothing is kept safe by it.
        self.sha = sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def call(self, keys: Sequence[str], *arguments: Word) -> Command:
        rest = (len(keys), *keys, *arguments)
        return Command(("EVALSHA", self.sha, *rest), ("EVAL", self.source, *rest))
