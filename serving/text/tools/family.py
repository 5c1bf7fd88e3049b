"""A family of models: how they write calls, and what makes one of them call for certain."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from serving.contract.calls import Guide
from serving.contract.tools import Tool
from serving.text.tools.parser import Syntax


def _openai_id() -> str:
    return f"call_{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Family:
    """`marks` are texts by which its chat templates are known: all of one tuple.

    `guide_of` is the grammar of one call of one of some tools; None: no grammar can force it.
    `text_guide_of` is that of any text with calls of them in it; None: there is none.
    """

    name: str
    syntax: Syntax
    marks: tuple[tuple[str, ...], ...]
    guide_of: Callable[[Sequence[Tool]], Guide] | None = None
    text_guide_of: Callable[[Sequence[Tool]], Guide] | None = None
    new_id: Callable[[], str] = _openai_id
