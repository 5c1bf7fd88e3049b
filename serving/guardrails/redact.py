"""Finds and masks personal data and secrets in texts: by form, and by check digits where there are.

It errs towards masking. Every pattern runs in linear time, whatever the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Any

Span = tuple[int, int]
Search = Callable[[str], Iterator[Span]]


class Kind(StrEnum):
    """What was found; a mask is the kind in brackets."""

    API_KEY = "api_key"
    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    PHONE = "phone"


@dataclass(frozen=True, slots=True)
class Finding:
    """`text[begin:end]` is of `kind`."""

    kind: Kind
    begin: int
    end: int


def redact(text: str) -> str:
    """`text` with everything that is found in it masked, e.g. `[email]`."""
    found = findings(text)
    return _replaced(text, [(f.begin, f.end) for f in found], [f"[{f.kind}]" for f in found])


def redact_json(value: Any) -> Any:
    """`value`, a JSON value, with all strings in it redacted; names of fields stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    if isinstance(value, dict):
        return {name: redact_json(item) for name, item in value.items()}
    return value


def findings(text: str) -> list[Finding]:
    """What is found, in order, without overlaps: the kinds with the surest signs go first."""
    found: list[Finding] = []
    for kind, search in _SEARCHES:
        spans = list(search(text))
        found += [Finding(kind, begin, end) for begin, end in spans]
        text = _replaced(text, spans, [TAKEN * (end - begin) for begin, end in spans])
    return sorted(found, key=lambda finding: finding.begin)


TAKEN = "\0"  # in no pattern, and not part of a word

# Possessive quantifiers stand after single characters only: Python 3.11.2 mistakes those of groups.
_API_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----))*(?:-----END [A-Z ]{0,30}-----)?"
    r"|(?<![A-Za-z0-9])(?:"
    r"ck_live_[A-Za-z0-9]{10}_[A-Za-z0-9]{43}"
    r"|sk-[A-Za-z0-9_-]{16,}"
    r"|(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|xox[abeprs]-)[A-Za-z0-9_-]{16,}"
    r"|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*"
    r"|(?<=Bearer )[A-Za-z0-9._~+/-]{20,}=*"
    r")"
)
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]++@(?:[\w-]++\.)+[^\W\d_]{2,}")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}(?![a-z])){3,8}")
_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,}")
_GROUP = re.compile(r"[0-9]+")
_GAP = r"[ ./()-]{0,2}"
_PHONE = re.compile(
    rf"(?<![\w.])(?:\+|00(?=[1-9]))(?:[0-9]{_GAP}){{6,14}}[0-9](?![0-9])"  # with country code
    r"|(?<![\w.-])(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}(?!\w)"  # North America
    r"|(?<![\w.,-])\(?0[0-9]{1,4}\)?[ /-][0-9]{3,8}(?:[ -][0-9]{2,5}){0,3}(?![\w,])"  # trunk 0
)
_PHONE_DIGITS = range(7, 17)
_CARD_DIGITS = range(13, 20)  # ISO/IEC 7812
_DOUBLED = str.maketrans("0123456789", "0246813579")  # the digit sum of twice a digit
_IBAN_LENGTHS = range(15, 35)  # ISO 13616


def _replaced(text: str, spans: list[Span], replacements: list[str]) -> str:
    pieces, kept_to = [], 0
    for (begin, end), replacement in zip(spans, replacements, strict=True):
        pieces += [text[kept_to:begin], replacement]
        kept_to = end
    return "".join([*pieces, text[kept_to:]])


def _matches(pattern: re.Pattern[str]) -> Search:
    return lambda text: (match.span() for match in pattern.finditer(text))


def _ibans(text: str) -> Iterator[Span]:
    """A match may have taken words that follow: they are dropped until the check digits fit."""
    for match in _IBAN.finditer(text):
        written = match[0]
        while written and not _is_iban(written.replace(" ", "")):
            written = written.rpartition(" ")[0]
        if written:
            yield match.start(), match.start() + len(written)


def _is_iban(compact: str) -> bool:
    if len(compact) not in _IBAN_LENGTHS:
        return False
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _cards(text: str) -> Iterator[Span]:
    """Numbers stand next to others: any groups in a row that pass as a card number are one."""
    for run in _DIGITS.finditer(text):
        groups = [group.span() for group in _GROUP.finditer(text, *run.span())]
        first = 0
        while first < len(groups):
            last = _card_from(text, groups, first)
            if last is not None:
                yield groups[first][0], groups[last][1]
            first = first + 1 if last is None else last + 1


def _card_from(text: str, groups: list[Span], first: int) -> int | None:
    """The last of the groups that make a card number together with `groups[first]`."""
    near = groups[first : first + _CARD_DIGITS.stop]
    for last, length in enumerate(accumulate(end - begin for begin, end in near), first):
        digits = text[groups[first][0] : groups[last][1]]
        if length in _CARD_DIGITS and _passes_luhn(digits.replace(" ", "").replace("-", "")):
            return last
    return None


def _passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812: every second digit from the right is doubled; all must sum up to tens."""
    doubled = digits[-2::-2].translate(_DOUBLED)
    return (sum(map(int, doubled)) + sum(map(int, digits[-1::-2]))) % 10 == 0 and int(digits) > 0


def _phones(text: str) -> Iterator[Span]:
    for match in _PHONE.finditer(text):
        if sum(character.isdigit() for character in match[0]) in _PHONE_DIGITS:
            yield match.span()


_SEARCHES: tuple[tuple[Kind, Search], ...] = (
    (Kind.API_KEY, _matches(_API_KEY)),
    (Kind.EMAIL, _matches(_EMAIL)),
    (Kind.IBAN, _ibans),
    (Kind.CARD, _cards),
    (Kind.PHONE, _phones),
)
