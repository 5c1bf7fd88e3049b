"""What the classifier learns from: windows of the texts, and what each of its outputs is to say."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guardrails.corpus import Text
from serving.contract.guardrails import UNTRUSTED
from serving.guardrails.meaning_windows import Passage, Window, windows

# What a user may well ask for, and a document may not.
REQUESTS = ("tool_abuse",)
UNKNOWN = np.nan  # nothing is to be learned
LEAST_SHARE = 0.6  # of an attack in a window, or of a window that is attack


@dataclass(frozen=True, slots=True)
class Example:
    """`wanted`: whether it is an attack as typed, and as an instruction in an untrusted text.

    `number` is that of the text which it is a window of.
    """

    text: str
    number: int
    group: str
    template: tuple[bool, str, int]
    wanted: tuple[float, float]


def digest(texts: Sequence[Text]) -> str:
    """The same for the same texts only; it is written into the weights that learned from them."""
    told = "\0".join(f"{one.is_attack} {one.stage} {one.text}" for one in texts)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def examples(texts: Sequence[Text]) -> list[Example]:
    return [
        Example(
            window.text, number, text.group, (text.is_attack, text.group, text.template), wanted
        )
        for number, text in enumerate(texts)
        for window in windows([Passage(text.text, text.stage)])
        if (wanted := _wanted(text, window)) is not None
    ]


def _template(text: Text) -> tuple[bool, str, int]:
    return text.is_attack, text.group, text.template


def targets(found: Sequence[Example]) -> npt.NDArray[np.float32]:
    return np.array([one.wanted for one in found], np.float32)


def _wanted(text: Text, window: Window) -> tuple[float, float] | None:
    """None where a window has so little of the attack that nobody could tell."""
    if not text.is_attack:
        # What a user asks for is no text to read: whether it might stand in one is left open.
        return 0.0, (0.0 if text.stage in UNTRUSTED else UNKNOWN)
    shared = max(0, min(text.end, window.end) - max(text.begin, window.begin))
    if shared == 0:
        return 0.0, 0.0
    if shared < LEAST_SHARE * min(text.end - text.begin, len(window.text)):
        return None
    return (UNKNOWN if text.group in REQUESTS else 1.0), 1.0
