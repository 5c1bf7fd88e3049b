"""Finds secrets: keys and tokens by their known forms, passwords where one is named, and strings
that look random next to words such as key, token and secret."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import log2

from serving.guardrails.findings import Detector, Finding, Span, found_by, matches

# Without its last line a key goes on to the end of the text.
_PRIVATE_KEY_FORM = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:-{0,4}[^-])*(?:-----END [A-Z ]{0,30}-----)?"
)
_KEY_FORM = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]|-(?!----))*(?:-----END [A-Z ]{0,30}-----)?"
)
# A key is masked until another line of dashes, or the end of the text.
_PRIVATE_KEY_BEGINS = r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?s:.*)"
_KEY_FORM = (
    r"ck_live_[A-Za-z0-9]{10}_[A-Za-z0-9]{43}"
    r"|sk-[A-Za-z0-9_-]{16,}"
    r"|(?:gh[pousr]_|github_pat_|glpat-|glsa_|hf_|npm_|pypi-|xox[abeprs]-|xapp-|dop_v1_"
    r"|shp(?:at|ss)_|sq0(?:atp|csp)-|ya29\.|pat_|lin_api_|dckr_pat_|nvapi-|gsk_|xai-|tvly-|r8_"
    r"|AGE-SECRET-KEY-)"
    r"[A-Za-z0-9_-]{16,}"
    r"|(?:sk|rk|pk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}"
    r"|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}"
    r"|(?:AKIA|ASIA|AIDA|AROA)[A-Z0-9]{16}"
    r"|AIza[A-Za-z0-9_-]{35}"
    r"|dapi[0-9a-f]{32}"
    r"|[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"
)
_JWT_FORM = r"eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*"
_BEARER_FORM = r"(?:Bearer|Basic|Token) (?P<value>[A-Za-z0-9._~+/-]{20,}+={0,2})"
_IS = r"[\"'`\])]?\s{0,2}(?:is|was|=>|:=|={1,2}|:)\s{0,2}"
_SAID_FORM = (
    r"(?i:pass(?:word|wd|phrase|code)?|pwd|kennwort|passwort|contraseña|mot de passe|senha|пароль)"
    + _IS
    + r"(?P<value>[\"'`]?[^\s\"'`,;<>(){}]{4,128})"
)
_URL_FORM = r"[a-z][a-z0-9+]{1,15}://[^\s/:@\"']{0,64}:(?P<value>[^\s/@\"'\[\]]{3,128})@"
_NAMED_FORM = (
    r"(?i:key|token|secret|credential|signature|auth|bearer)s?"
    r"[\"'`\])]?\s{0,2}(?:is |was |=>|:=|={1,2}|:)?\s{0,2}[\"'`]?"
    r"(?P<value>[A-Za-z0-9_+/=.~-]{16,256})"
)
_NO_WORD = r"(?<![A-Za-z0-9])"
_MIN_BITS = 3.3  # of entropy a character; words have less, and no digits
_PLACEHOLDER = re.compile(
    r"\[[a-z_]{2,40}_[0-9]+\]|\*{3,}|x{4,}|\.{3,}|your|example|changeme|redacted|\$|%|env|none"
    r"|null",
    re.I,
)
_MIN_PLAIN = 6


def _looks_random(value: str) -> bool:
    """Digits and letters that repeat little, as keys do and names of files do not."""
    has_both = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return has_both and _bits(value) >= _MIN_BITS and not value.startswith(("http", "/", "."))


def _bits(value: str) -> float:
    counts = Counter(value).values()
    return -sum(n / len(value) * log2(n / len(value)) for n in counts)


def _is_password(value: str) -> bool:
    """Quoted it may be a word; else it needs digits or signs among its letters."""
    if _PLACEHOLDER.search(value):
        return False
    if value[0] in "\"'`":
        return True
    plain = value.rstrip(".!?:")
    has_letter = any(c.isalpha() for c in plain)
    has_other = any(not c.isalpha() and c not in "-'_./" for c in plain)
    return len(plain) >= _MIN_PLAIN and has_letter and has_other


def _passwords(text: str) -> Iterator[Span]:
    for match in _PASSWORD.finditer(text):
        if _is_password(match["value"]):
            begin, end = match.span("value")
            yield begin + (text[begin] in "\"'`"), end


_PASSWORD = re.compile(rf"(?<![A-Za-z]){_SAID_FORM}")
_LIKELY = re.compile(
    r"(?i:pass|pwd|kennwort|contraseña|senha|пароль|key|token|secret|credential|signature|auth"
    r"|bearer|basic )|://|eyJ|[a-z0-9]_|[a-z0-9]-|SG\.|ya29|A[KSIR][IOD]A|AIza|dapi|:AA|-----"
)
DETECTORS = (
    Detector("private_key", matches(re.compile(_PRIVATE_KEY_FORM)), _PRIVATE_KEY_FORM),
    Detector("jwt", matches(re.compile(_NO_WORD + _JWT_FORM))),
    Detector("api_key", matches(re.compile(rf"{_NO_WORD}(?:{_KEY_FORM})(?![A-Za-z0-9])"))),
    Detector("token", matches(re.compile(_NO_WORD + _BEARER_FORM), group="value"), _BEARER_FORM),
    Detector("password", matches(re.compile(_NO_WORD + _URL_FORM), group="value"), _URL_FORM),
    Detector("password", _passwords, _SAID_FORM),
    Detector(
        "secret",
        matches(re.compile(rf"(?<![A-Za-z]){_NAMED_FORM}"), _looks_random, group="value"),
        _NAMED_FORM,
    ),
)
KINDS = tuple(dict.fromkeys(detector.what for detector in DETECTORS))


def secrets(text: str, kinds: Sequence[str] = ()) -> list[Finding]:
    """Secrets of these kinds, or of all, in order and without overlaps."""
    if not _LIKELY.search(text):
        return []
    detectors = [d for d in DETECTORS if d.what in kinds] if kinds else DETECTORS
    return found_by(detectors, text)
