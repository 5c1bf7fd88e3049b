"""JWT bearer tokens: whether an issuer of the policy signed one, for us, and for now.

Keys come from the issuer's own JWKS and nowhere else: what a token's header says of keys (`jwk`,
`jku`, `x5u`, `x5c`) is not looked at. The document of the issuer says which algorithms are taken.
"""

import binascii
import math
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import orjson

from serving.contract.errors import Unauthenticated
from serving.contract.policy import Issuer
from serving.identity.directory import Directory
from serving.identity.issuer_keys import MIN_S, IssuerKeys, Issuers
from serving.identity.jwk import ALGORITHMS, SigningKey
from serving.identity.people import Person

MOST_BYTES = 16 * 1024
SKEW_S = 60.0
MOST_TRIED = 8  # keys of a set, for a token that names none
LONGEST_SUBJECT = 255
# A token with another type is for something else, such as telling of a logout.
TYPES = ("jwt", "at+jwt", "application/at+jwt")
_FORM = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_SIGNATURE_ONLY: Any = {
    **dict.fromkeys(("verify_exp", "verify_iat", "verify_nbf"), False),
    "require": ["iss", "aud", "sub"],
}


@dataclass(frozen=True, slots=True)
class Basis:
    """What was so when a token was found good."""

    issuer: Issuer
    expires_at: float
    source: IssuerKeys
    keys: tuple[SigningKey, ...]

    def holds(self, directory: Directory, now: float) -> bool:
        """Whether it is all so still."""
        return (
            now < self.expires_at
            and directory.issuer(self.issuer.id) is self.issuer
            and self.source.keys is self.keys
        )


@dataclass(frozen=True, slots=True)
class _Head:
    """What a token says of itself before anything of it is believed."""

    issuer: str
    algorithm: str
    key_id: str | None


async def fetch_keys(text: str, directory: Directory, issuers: Issuers) -> None:
    """Waits for what `verify` needs to know of a token's issuer; says nothing of the token.

    Raises Unavailable when the keys cannot be had.
    """
    try:
        head = _read_head(text)
        issuer = _issuer(head, directory)
    except Unauthenticated:
        return
    source = await issuers.keys_of(issuer.id)
    if not _candidates(source.keys, head):
        await source.refresh(not_within_s=MIN_S)


def verify(
    text: str, directory: Directory, issuers: Issuers, now: float, *, audience: str | None = None
) -> tuple[Person, Basis]:
    """Whom a token is of, after `fetch_keys`. Raises Unauthenticated.

    `audience` is whom it must be for, where that is another one than the issuer's document says.
    """
    head = _read_head(text)
    issuer = _issuer(head, directory)
    source = issuers.at_hand(issuer.id)
    keys = source.keys
    claims = _claims(text, head, _candidates(keys, head), audience or issuer.audience)
    basis = Basis(issuer, _checked_end(claims, now), source, keys)
    return Person(issuer.id, _subject(claims), claims), basis


def _read_head(text: str) -> _Head:
    if len(text) > MOST_BYTES or _FORM.fullmatch(text) is None:
        raise _malformed()
    header, claims = (_json_part(part) for part in text.split(".")[:2])
    algorithm, issuer, key_id = header.get("alg"), claims.get("iss"), header.get("kid")
    if not isinstance(algorithm, str) or not isinstance(issuer, str):
        raise _malformed()
    type_ = header.get("typ", TYPES[0])
    is_ours = isinstance(type_, str) and type_.lower() in TYPES and "crit" not in header
    if not is_ours or not isinstance(key_id, str | None):
        raise _malformed()
    return _Head(issuer, algorithm, key_id)


def _issuer(head: _Head, directory: Directory) -> Issuer:
    issuer = directory.issuer(head.issuer)
    if issuer is None:
        raise Unauthenticated("the token is of no issuer that is trusted here")
    if head.algorithm not in issuer.algorithms or head.algorithm not in ALGORITHMS:
        raise Unauthenticated(f"tokens of '{issuer.id}' may not be signed as this one is")
    return issuer


def _json_part(part: str) -> dict[str, Any]:
    try:
        found = orjson.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if not isinstance(found, dict):
        raise _malformed()
    return found


def _candidates(keys: Iterable[SigningKey], head: _Head) -> list[SigningKey]:
    found = [key for key in keys if key.is_for(head.key_id, head.algorithm)]
    return found[:MOST_TRIED]


def _claims(
    text: str, head: _Head, candidates: Iterable[SigningKey], audience: str
) -> dict[str, Any]:
    for key in candidates:
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                key.public_key,
                algorithms=[head.algorithm],
                audience=audience,
                issuer=head.issuer,
                options=_SIGNATURE_ONLY,
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAudienceError:
            raise Unauthenticated(f"the token is not for the audience '{audience}'") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise _malformed() from None
        return claims
    raise Unauthenticated("the token's signature is not of its issuer: get a new one")


def _checked_end(claims: Mapping[str, Any], now: float) -> float:
    """When the token is over, with the skew allowed for; raises Unauthenticated."""
    ends, *begins = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
    begun = [moment for moment in begins if moment is not None]
    if ends is None or not begun:
        raise Unauthenticated("the token has to say when it was made ('iat') and ends ('exp')")
    if max(begun) > now + SKEW_S:
        raise Unauthenticated("the token is not valid yet: check the clocks")
    if ends + SKEW_S <= now or ends <= min(begun):
        raise Unauthenticated("the token has expired: get a new one")
    return ends + SKEW_S


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    found = claims.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise _malformed()
    return float(found)


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims["sub"]
    is_text = isinstance(subject, str) and 0 < len(subject) <= LONGEST_SUBJECT
    if not is_text or not (subject.isascii() and subject.isprintable()):
        raise _malformed()
    return str(subject)


def _malformed() -> Unauthenticated:
    return Unauthenticated("this is no token of a form that is taken here")
