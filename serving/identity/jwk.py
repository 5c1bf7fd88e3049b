"""JSON Web Keys: the public ones that can verify what we take, and what each is good for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

MOST_KEYS = 64
RSA_BITS = range(2048, 8192 + 1)

# The kind of key that each algorithm needs; no other algorithm is ever taken. All are asymmetric:
# with HMAC whoever can check a token can make one, and `none` is not even that.
ALGORITHMS: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
# What makes up the public key of each kind. A private part that is published is not even read.
_PARTS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key of an issuer. Without an `algorithm` it is for all that its kind can do."""

    parts: tuple[str, ...]
    kind: tuple[str, str | None]
    id: str | None
    algorithm: str | None
    public_key: Any = field(compare=False, repr=False)

    def is_for(self, key_id: str | None, algorithm: str) -> bool:
        """Whether it may have signed a token that names this key and algorithm."""
        return (
            key_id in (None, self.id)
            and self.algorithm in (None, algorithm)
            and self.kind == ALGORITHMS[algorithm]
        )


def signing_keys(found: Sequence[Any]) -> tuple[SigningKey, ...]:
    """The usable ones of a JWKS, in its order; what is weak, private, symmetric or odd is not."""
    read = (_read(jwk) for jwk in found[:MOST_KEYS] if isinstance(jwk, dict))
    return tuple(key for key in read if key is not None)


def _read(jwk: dict[str, Any]) -> SigningKey | None:
    type_, curve = _text(jwk, "kty") or "", _text(jwk, "crv")
    public = {"kty": type_} | {name: _text(jwk, name) or "" for name in _PARTS.get(type_, ())}
    key = _public_key(public, (type_, curve)) if _is_to_verify(jwk) else None
    if key is None:
        return None
    parts = tuple(public.values())
    return SigningKey(parts, (type_, curve), _text(jwk, "kid"), _text(jwk, "alg"), key)


def _public_key(public: dict[str, str], kind: tuple[str, str | None]) -> Any:
    algorithm = next((name for name, needed in ALGORITHMS.items() if needed == kind), None)
    if algorithm is None:
        return None
    try:
        key = PyJWK(public, algorithm).key
    except (PyJWTError, ValueError, UnsupportedAlgorithm):
        return None
    is_weak = isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS
    return None if is_weak else key


def _is_to_verify(jwk: dict[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    has_verify = isinstance(operations, list) and "verify" in operations
    return has_verify and jwk.get("use", "sig") == "sig"


def _text(jwk: dict[str, Any], name: str) -> str | None:
    found = jwk.get(name)
    return found if isinstance(found, str) else None
