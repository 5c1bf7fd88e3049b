"""Ways to hide a text from a reader who looks at its letters only."""

import base64
import codecs
from collections.abc import Callable
from random import Random

LEET = str.maketrans("aeiostAEIOST", "431057431057")
Encoder = Callable[[str, Random], str]


def _base64(text: str, _: Random) -> str:
    return base64.b64encode(text.encode()).decode()


def _hex(text: str, _: Random) -> str:
    return text.encode().hex()


def _rot13(text: str, _: Random) -> str:
    return codecs.encode(text, "rot13")


def _leet(text: str, _: Random) -> str:
    return text.translate(LEET)


def _reversed(text: str, _: Random) -> str:
    return text[::-1]


def _spaced(text: str, rng: Random) -> str:
    return rng.choice(" .-_").join(text)


def _any(text: str, rng: Random) -> str:
    return rng.choice((_base64, _hex, _rot13, _reversed))(text, rng)


ENCODERS: dict[str, Encoder] = {
    "encoded": _any,
    "base64": _base64,
    "hex": _hex,
    "rot13": _rot13,
    "leet": _leet,
    "reversed": _reversed,
    "spaced": _spaced,
}
