"""National identity and tax numbers, by form and by check digits where there are."""

import re
from collections.abc import Callable, Sequence

from serving.guardrails.findings import WORD, Detector, matches

_APART = re.compile(r"[ ./-]")
_LETTERS_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_NIE_DIGITS = {"X": "0", "Y": "1", "Z": "2"}
_CPF_WEIGHTS = range(10, 1, -1)
_PESEL_WEIGHTS = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
_MONTHS = range(1, 13)
_NO_NINO = frozenset(("BG", "GB", "KN", "NK", "NT", "TN", "ZZ"))
_ODD_VALUES = (
    "1 0 5 7 9 13 15 17 19 21 1 0 5 7 9 13 15 17 19 21 2 4 18 20 11 3 6 8 12 14 16 10 22 25 24 23"
)
# The values of the characters of a codice fiscale at odd places (D.M. 12 March 1974).
_ODD_FISCALE = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [int(value) for value in _ODD_VALUES.split()],
        strict=True,
    )
)


def is_german_tax_id(written: str) -> bool:
    """Among the first ten digits one or two are missing, and one is there two or three times.

    The last is the check digit of ISO/IEC 7064, MOD 11,10.
    """
    digits = _digits(written)
    times = [digits[:10].count(digit) for digit in set(digits[:10])]
    if max(times) not in (2, 3) or sum(count > 1 for count in times) != 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((product + digit) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[10]


def is_french_nir(written: str) -> bool:
    """13 characters and a key of two digits: 97 less the number modulo 97; Corsica is 2A and 2B."""
    compact = _compact(written).replace("2A", "19", 1).replace("2B", "18", 1)
    return 97 - int(compact[:13]) % 97 == int(compact[13:])


def is_spanish_dni(written: str) -> bool:
    """A DNI or NIE: the letter is the number modulo 23."""
    compact = _compact(written)
    number = _NIE_DIGITS.get(compact[0], compact[0]) + compact[1:-1]
    return _LETTERS_DNI[int(number) % 23] == compact[-1]


def is_codice_fiscale(written: str) -> bool:
    """The last letter is the sum of the values of the others modulo 26."""
    odd = sum(_ODD_FISCALE[character] for character in written[:15:2])
    even = sum(
        int(character) if character.isdigit() else ord(character) - ord("A")
        for character in written[1:15:2]
    )
    return ord(written[15]) - ord("A") == (odd + even) % 26


def is_cpf(written: str) -> bool:
    """Two check digits modulo 11; all digits the same is nobody's."""
    digits = _digits(written)
    return (
        len(set(digits)) > 1
        and digits[9] == _cpf_digit(digits[:9])
        and digits[10] == _cpf_digit(digits[1:10])
    )


def is_pesel(written: str) -> bool:
    """A date of birth, whose month tells the century, and a check digit modulo 10."""
    digits = _digits(written)
    month, day = digits[2] * 10 + digits[3], digits[4] * 10 + digits[5]
    weighed = sum(weight * digit for weight, digit in zip(_PESEL_WEIGHTS, digits, strict=False))
    return month % 20 in _MONTHS and 1 <= day <= 31 and -weighed % 10 == digits[10]


def is_nino(written: str) -> bool:
    """No check digit; some prefixes are not given out."""
    return written[:2] not in _NO_NINO


def _cpf_digit(digits: Sequence[int]) -> int:
    weighed = sum(weight * digit for weight, digit in zip(_CPF_WEIGHTS, digits, strict=True))
    return weighed * 10 % 11 % 10


def _compact(written: str) -> str:
    return _APART.sub("", written)


def _digits(written: str) -> list[int]:
    return [int(digit) for digit in _compact(written)]


def _detector(what: str, form: str, is_one: Callable[[str], bool] | None = None) -> Detector:
    pattern = re.compile(rf"(?<![{WORD}.-])(?:{form})(?![{WORD}]|[.-][0-9])")
    return Detector(what, matches(pattern, is_one), form if " " in form else None)


IDS = (
    _detector(
        "fr_nir",
        r"[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?"
        r"[0-9]{3} ?[0-9]{3} ?[0-9]{2}",
        is_french_nir,
    ),
    _detector(
        "it_codice_fiscale",
        r"[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]",
        is_codice_fiscale,
    ),
    _detector("es_dni", r"(?:[XYZ]-?[0-9]{7}|[0-9]{8})-?[A-HJ-NP-TV-Z]", is_spanish_dni),
    _detector("uk_nino", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]", is_nino),
    _detector("us_ssn", r"(?:00[1-9]|0[1-9][0-9]|[1-57][0-9]{2}|6[0-57-9][0-9]|66[0-57-9]|"
              r"8[0-9]{2})-(?:0[1-9]|[1-9][0-9])-(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|"
              r"[1-9][0-9]{3})"),
    _detector("br_cpf", r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{11}", is_cpf),
    _detector("de_tax_id", r"[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", is_german_tax_id),
    _detector("pl_pesel", r"[0-9]{11}", is_pesel),
)  # fmt: skip
