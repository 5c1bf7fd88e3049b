"""What a text turns out to be: content, or a call from its begin to its end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Content:
    """Text that is no part of a call."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegun:
    """Calls count from 0. The name is one of those that are offered."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """A part of the text of a JSON object, as the model wrote it."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The arguments are a whole JSON object."""

    index: int


Piece = Content | CallBegun | CallArguments | CallEnded
