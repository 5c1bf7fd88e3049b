"""Identify: who calls. One key for now; a request without it goes no further."""

import hashlib
import hmac
from dataclasses import dataclass

from serving.contract.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for."""

    name: str


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that open the gateway, kept as digests."""

    digest: bytes

    @classmethod
    def of(cls, key: str) -> "Keyring":
        return cls(_digest(key.encode()))


OWNER = Principal("owner")


def identify(authorization: bytes | None, keys: Keyring) -> Principal:
    """The principal of an Authorization header; raises Unauthenticated.

    Digests of equal length are compared, so the time taken tells nothing about the key.
    """
    if authorization is None:
        raise Unauthenticated("no API key: send 'Authorization: Bearer <key>'")
    scheme, _, key = authorization.partition(b" ")
    is_known = hmac.compare_digest(_digest(key.strip()), keys.digest)
    if scheme.lower() != b"bearer" or not is_known:
        raise Unauthenticated("the API key is not known: send 'Authorization: Bearer <key>'")
    return OWNER


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
