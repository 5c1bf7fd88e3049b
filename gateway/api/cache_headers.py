"""What a client says of the response cache, beside its request: Cache-Control, and one of ours."""

from gateway.api.scheduling import Said
from serving.contract.cache import NO_WISH, CacheWish
from serving.contract.errors import InvalidRequest

CONTROL = "Cache-Control"
ALLOW = "X-Conch-Cache"
_DIGITS = 9


def wish_of(said: Said) -> CacheWish:
    """As RFC 9111 has it: directives that are not known here say nothing, and a `max-age` that is
    no number is 0. Raises InvalidRequest for a word that `X-Conch-Cache` does not have.
    """
    control, word = said(CONTROL.lower()), said(ALLOW.lower())
    if control is None and word is None:
        return NO_WISH
    if word not in (None, "allow"):
        raise InvalidRequest(f"'{ALLOW}' is '{word[:64]}', it can be 'allow'", param=ALLOW)
    directives = _directives(control or "")
    ages = [_age(value) for name, value in directives.items() if name in ("max-age", "no-cache")]
    return CacheWish(
        is_kept="no-store" not in directives,
        max_age_s=min(ages, default=None),
        is_allowed=word is not None,
    )


def _directives(text: str) -> dict[str, str]:
    parts = (part.strip().lower().partition("=") for part in text[:1024].split(","))
    return {name.strip(): value.strip().strip('"') for name, _, value in parts}


def _age(value: str) -> int:
    is_number = value.isascii() and value.isdigit() and len(value) <= _DIGITS
    return int(value) if is_number else 0
