"""Finds personal data: by form, and by check digits where there are. It errs towards finding.

Every pattern runs in linear time, whatever the text.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import accumulate

from serving.guardrails.findings import WORD, Detector, Finding, Span, found_by, matches
from serving.guardrails.personal_ids import IDS

# Possessive quantifiers stand after single characters only: Python 3.11.2 mistakes those of groups.
_EMAIL = re.compile(
    rf"(?<![{WORD}.%+-])[{WORD}.%+-]{{1,64}}+@(?:[{WORD}-]{{1,63}}\.){{1,8}}[A-Za-zÀ-ӿ]{{2,24}}"
)
_IBAN_FORM = r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}){3,8}"
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{1,4}(?![a-z])){3,8}")
_DIGITS = re.compile(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,}")
_CARD_FORM = r"[0-9](?:[ -]?[0-9]){12,18}"
_GROUP = re.compile(r"[0-9]+")
_GAP = r"[ ./()-]{0,2}"
_WITH_COUNTRY = rf"(?:\+|00)(?:[0-9]{_GAP}){{6,14}}[0-9]"
_NORTH_AMERICA = r"(?:\([0-9]{3}\) ?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
_WITH_TRUNK = r"\(?0[0-9]{1,4}\)?[ /-][0-9]{3,8}(?:[ -][0-9]{2,5}){0,3}"
_PHONE = re.compile(
    rf"(?<![{WORD}.])(?!000){_WITH_COUNTRY}(?![0-9])"
    rf"|(?<![{WORD}.-]){_NORTH_AMERICA}(?![{WORD}])"
    rf"|(?<![{WORD}.,-]){_WITH_TRUNK}(?![{WORD},])"
)
_PHONE_DIGITS = range(7, 17)
_CARD_DIGITS = range(13, 20)  # ISO/IEC 7812
_DOUBLED = str.maketrans("0123456789", "0246813579")  # the digit sum of twice a digit
_IBAN_LENGTHS = range(15, 35)  # ISO 13616
_IP4 = re.compile(rf"(?<![{WORD}.])(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}(?![{WORD}]|\.[0-9])")
_IP6 = re.compile(rf"(?<![{WORD}:.])[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}(?![{WORD}:])")
# What every number has: six digits, not far from one another, or letters and digits in a row.
_DENSE = re.compile(r"[0-9](?:[ ./()-]{0,2}[0-9]){5}|[A-Z]{2}[0-9]{2}")


def _ibans(text: str) -> Iterator[Span]:
    """A match may have taken words that follow: they are dropped until the check digits fit."""
    at = 0
    while match := _IBAN.search(text, at):
        written = match[0]
        while written and not _is_iban(written.replace(" ", "")):
            written = written.rpartition(" ")[0]
        at = match.start() + (len(written) or 2)
        if written:
            yield match.start(), at


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


def _is_phone(written: str) -> bool:
    return sum(character.isdigit() for character in written) in _PHONE_DIGITS


def _is_public_address(written: str) -> bool:
    """Addresses of private networks, of examples and of the machine itself are nobody's."""
    try:
        return ip_address(written).is_global
    except ValueError:
        return False


_EMAILS = Detector("email", matches(_EMAIL))
_IP6S = Detector("ip", matches(_IP6, _is_public_address))
# The kinds with the surest signs go first.
_NUMBERS = (
    Detector("iban", _ibans, _IBAN_FORM),
    *IDS[:2],
    Detector("card", _cards, _CARD_FORM),
    *IDS[2:],
    Detector("ip", matches(_IP4, _is_public_address)),
    Detector(
        "phone", matches(_PHONE, _is_phone), f"{_WITH_COUNTRY}|{_NORTH_AMERICA}|{_WITH_TRUNK}"
    ),
)
DETECTORS = (_EMAILS, _IP6S, *_NUMBERS)
KINDS = tuple(dict.fromkeys(detector.what for detector in DETECTORS))


def personal_data(text: str, kinds: Sequence[str] = ()) -> list[Finding]:
    """Personal data of these kinds, or of all, in order and without overlaps."""
    return found_by(_of_kinds(_likely(text), kinds), text)


def _likely(text: str) -> tuple[Detector, ...]:
    """The detectors that may find something: most texts have no numbers and no addresses."""
    likely: tuple[Detector, ...] = (_EMAILS,) if "@" in text else ()
    if text.count(":") > 1:
        likely += (_IP6S,)
    return likely + (_NUMBERS if _DENSE.search(text) or _IP4.search(text) else ())


def _of_kinds(detectors: Sequence[Detector], kinds: Sequence[str]) -> Sequence[Detector]:
    return [d for d in detectors if d.what in kinds] if kinds else detectors
