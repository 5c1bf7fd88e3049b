"""Texts in other clothes: base64, hex, URL and HTML escapes, ROT13, reversed, Morse. Bounded."""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from serving.guardrails.patterns import Pattern, PatternSet

MAX_DEPTH = 3
MAX_DECODED = 12  # texts that come out of one
MAX_PIECES = 40  # of a text in pieces
MAX_TRIED = 200  # parts of a text that look like one encoding
MAX_CHARACTERS = 20_000  # of one decoded text
_MIN_CHARACTERS = 8
_PRINTABLE = 0.9  # of the characters of a text

_BASE64 = Pattern(r"[A-Za-z0-9+/_-]{16,}(?:\s{1,2}[A-Za-z0-9+/_-]{16,})*={0,2}")
_BASE32 = Pattern(r"\b[A-Z2-7]{24,}={0,6}")
_HEX = Pattern(r"\b(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[ :,]?){8,}|(?:\\x[0-9A-Fa-f]{2}){4,}")
_BITS = Pattern(r"\b(?:[01]{8}\s?){6,}")
_CODES = Pattern(r"\b(?:[0-9]{2,3}[ ,;]{1,2}){9,}[0-9]{2,3}\b")
_PERCENT = Pattern(r"(?:%[0-9A-Fa-f]{2}[A-Za-z0-9._+-]{0,24}){3,}")
_ENTITIES = Pattern(r"(?:&(?:#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|[a-z]{2,8});[A-Za-z0-9 ]{0,24}){3,}")
_ESCAPES = Pattern(r"(?:\\u\{?[0-9A-Fa-f]{4,6}\}?[A-Za-z0-9 ]{0,24}){3,}")
_ESCAPE = re.compile(r"\\u\{?([0-9A-Fa-f]{4,6})\}?")
_MORSE = Pattern(r"[.-]{1,5}(?:[ /|]{1,3}[.-]{1,5}){7,}")
_PIECE = Pattern(r"[=+,:(]\s?[\"'`“][^\"'`“”\n]{1,120}[\"'`”]")
_HEX_NOISE = re.compile(r"0x|\\x|[ :,]")
# Words of attacks, rotated by 13 and written backwards: only where they stand it is worth to look.
_SIGNS = ("ignore", "instruct", "previous", "system", "prompt", "disregard", "forget", "password",
          "reveal", "pretend", "secret", "override", "bypass")  # fmt: skip
_ROTATED = "|".join(codecs.encode(sign, "rot13") for sign in _SIGNS)
_REVERSED = "|".join(sign[::-1] for sign in _SIGNS)
_TURNED = PatternSet((_ROTATED, _REVERSED), is_case_sensitive=False)
_MORSE_CODE = dict(
    zip(
        [
            ".-",
            "-...",
            "-.-.",
            "-..",
            ".",
            "..-.",
            "--.",
            "....",
            "..",
            ".---",
            "-.-",
            ".-..",
            "--",
            "-.",
            "---",
            ".--.",
            "--.-",
            ".-.",
            "...",
            "-",
            "..-",
            "...-",
            ".--",
            "-..-",
            "-.--",
            "--..",
            "-----",
            ".----",
            "..---",
            "...--",
            "....-",
            ".....",
            "-....",
            "--...",
            "---..",
            "----.",
        ],
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=False,
    )
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """`text` is what `[begin:end]` of the other says; `how` names the encoding."""

    text: str
    begin: int
    end: int
    how: str


def decoded(text: str) -> Iterator[Decoded]:
    """What parts of `text` decode to, if that is text; at most MAX_DECODED, each of them short."""
    found = 0
    for number in _LIKELY.matching(text):
        how, pattern, decode = _ENCODINGS[number]
        for tried, (begin, end) in enumerate(pattern.spans(text)):
            said = decode(text[begin : min(end, begin + 2 * MAX_CHARACTERS)])[:MAX_CHARACTERS]
            if _is_text(said):
                yield Decoded(said, begin, end, how)
                found += 1
            if found >= MAX_DECODED or tried >= MAX_TRIED:
                break
    yield from _turned(text)
    yield from _spliced(text)


def _spliced(text: str) -> Iterator[Decoded]:
    """What quoted pieces say together, where they are given names or are added."""
    pieces = [span for span, _ in zip(_PIECE.spans(text), range(MAX_PIECES), strict=False)]
    if len(pieces) > 1:
        said = "".join(text[begin:end].strip(" =+,:(").strip("\"'`“”") for begin, end in pieces)
        yield Decoded(said, pieces[0][0], pieces[-1][1], "spliced")


def _turned(text: str) -> Iterator[Decoded]:
    """The whole text, rotated or backwards."""
    short = text[:MAX_CHARACTERS]
    for number in _TURNED.matching(short):
        if number == 0:
            yield Decoded(codecs.encode(short, "rot13"), 0, len(text), "rot13")
        else:
            yield Decoded(short[::-1], 0, len(text), "reversed")


def _is_text(said: str) -> bool:
    if len(said) < _MIN_CHARACTERS:
        return False
    shown = sum(character.isprintable() or character.isspace() for character in said)
    letters = sum(character.isalnum() or character == " " for character in said)
    return shown >= _PRINTABLE * len(said) and letters >= 0.6 * len(said)


def _of_bytes(data: bytes) -> str:
    """UTF-8, maybe cut in a character; nothing if it is something else."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        return data[: error.start].decode() if error.start >= len(data) - 4 else ""


def _base64(written: str) -> str:
    compact = "".join(written.split()).rstrip("=").replace("-", "+").replace("_", "/")
    whole = compact[: len(compact) - (len(compact) % 4 == 1)]
    try:
        return _of_bytes(base64.b64decode(whole + "=" * (-len(whole) % 4), validate=True))
    except binascii.Error:
        return ""


def _base32(written: str) -> str:
    compact = written.rstrip("=")
    try:
        return _of_bytes(base64.b32decode(compact + "=" * (-len(compact) % 8)))
    except binascii.Error:
        return ""


def _hex(written: str) -> str:
    compact = _HEX_NOISE.sub("", written)
    return _of_bytes(bytes.fromhex(compact[: len(compact) // 2 * 2]))


def _bits(written: str) -> str:
    compact = "".join(written.split())
    return _of_bytes(bytes(int(compact[at : at + 8], 2) for at in range(0, len(compact) - 7, 8)))


def _codes(written: str) -> str:
    numbers = [int(number) for number in re.findall(r"[0-9]+", written)]
    return "".join(map(chr, numbers)) if max(numbers) < 256 else ""


def _escapes(written: str) -> str:
    return _ESCAPE.sub(_escape, written)


def _escape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else ""


def _morse(written: str) -> str:
    words = re.split(r" ?[/|] ?| {2,}", written)
    return " ".join("".join(_MORSE_CODE.get(code, "") for code in word.split()) for word in words)


_ENCODINGS: tuple[tuple[str, Pattern, Callable[[str], str]], ...] = (
    ("hex", _HEX, _hex),
    ("binary", _BITS, _bits),
    ("codes", _CODES, _codes),
    ("base64", _BASE64, _base64),
    ("base32", _BASE32, _base32),
    ("url", _PERCENT, lambda written: unquote(written, errors="ignore")),
    ("html", _ENTITIES, html.unescape),
    ("unicode", _ESCAPES, _escapes),
    ("morse", _MORSE, _morse),
)
_LIKELY = PatternSet([pattern.source for _, pattern, _ in _ENCODINGS])
