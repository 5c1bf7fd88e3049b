"""Who calls: an API key or a token, checked against the policy as it is at this moment."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from serving.adapters import oidc
from serving.contract.api_keys import PREFIX, parse
from serving.contract.errors import Unauthenticated
from serving.contract.policy import User
from serving.contract.principal import Principal
from serving.identity import keys, tokens
from serving.identity.addresses import Networks
from serving.identity.directory import Directory
from serving.identity.guesses import Guesses
from serving.identity.issuer_keys import Issuers
from serving.identity.people import principal_of
from serving.identity.recent import Recent
from serving.identity.standing import check_address, check_home
from serving.identity.tokens import Basis

REMEMBERED = 16_384


@dataclass(frozen=True, slots=True)
class Credentials:
    """What came with a request: its Authorization header, and from which address."""

    authorization: bytes | None = field(repr=False)
    address: str | None = None


class Proof(Protocol):
    """Credentials were found to be those of `principal`, for use from `networks`."""

    @property
    def principal(self) -> Principal: ...

    @property
    def networks(self) -> Networks | None: ...

    def holds(self, directory: Directory, now: float) -> bool:
        """Whether everything that was found out with is still so; costs about a microsecond."""


@dataclass(frozen=True, slots=True)
class TokenProof:
    """A token of `subject`, whose document is `user`, speaks for `principal`."""

    subject: str
    basis: Basis
    user: User | None
    principal: Principal
    networks: Networks | None = None

    def holds(self, directory: Directory, now: float) -> bool:
        user = directory.user(self.basis.issuer.id, self.subject)
        return user is self.user and self.basis.holds(directory, now)


class Verifier:
    """What credentials are checked with, and those that were good when they were last seen.

    They are remembered by their SHA-256, so that they need no second check as long as the documents
    that it rested upon are the same. What is remembered never lets anybody in by itself.
    """

    def __init__(self, pepper: bytes, issuers: Issuers, guesses: Guesses | None = None) -> None:
        self.issuers = issuers
        self._pepper = pepper
        self._guesses = guesses or Guesses()
        self._proofs: Recent[bytes, Proof] = Recent(REMEMBERED)

    def screen(self, presented: bytes, address: str | None, now: float) -> None:
        """Turns away who cannot be right, whatever the policy says: where that is costly to ask.

        Raises Unauthenticated for what has the form of no key and no token, and AddressLimited.
        """
        fingerprint = hashlib.sha256(presented).digest()
        if self._proofs.get(fingerprint) is not None:
            return
        text = presented.decode("latin-1")
        if _is_token(text) or parse(text) is not None:
            self._guesses.check(address, fingerprint, now)
            return
        with self._guesses.one(address, fingerprint, now):
            raise keys.not_known()

    async def proof(
        self, presented: bytes, address: str | None, directory: Directory, now: float
    ) -> Proof:
        """Raises Unauthenticated, AddressLimited or Unavailable."""
        fingerprint = hashlib.sha256(presented).digest()
        known = self._proofs.get(fingerprint)
        if known is not None and known.holds(directory, now):
            return known
        text = presented.decode("latin-1")
        if _is_token(text):
            # Before it counts as a guess: many may wait here that are right.
            await tokens.fetch_keys(text, directory, self.issuers)
        if known is None:
            with self._guesses.one(address, fingerprint, now):
                proof = self._prove(text, directory, now)
        else:
            proof = self._prove(text, directory, now)
        self._proofs.put(fingerprint, proof)
        return proof

    def _prove(self, text: str, directory: Directory, now: float) -> Proof:
        if not _is_token(text):
            return keys.prove(text, directory, self._pepper, now)
        person, basis = tokens.verify(text, directory, self.issuers, now)
        user = directory.user(person.issuer, person.subject)
        return TokenProof(person.subject, basis, user, principal_of(person, directory))


@asynccontextmanager
async def open_verifier(pepper: bytes) -> AsyncIterator[Verifier]:
    """A verifier for as long as the block lasts; `issuers.keep_fresh()` is a task of its owner."""
    async with oidc.connect() as client:
        yield Verifier(pepper, Issuers(client))


async def identify(
    credentials: Credentials, directory: Directory, verifier: Verifier, now: float
) -> Principal:
    """The principal of a request, as the policy says at this moment.

    Raises Unauthenticated, Forbidden for the wrong address, AddressLimited after too many wrong
    credentials from it, and Unavailable when the keys of a token's issuer cannot be had.
    """
    presented = bearer(credentials.authorization)
    proof = await verifier.proof(presented, credentials.address, directory, now)
    check_home(proof.principal, directory)
    check_address(credentials.address, proof.networks)
    return proof.principal


def _is_token(text: str) -> bool:
    return "." in text and not text.startswith(PREFIX)


def bearer(authorization: bytes | None) -> bytes:
    """What follows `Bearer` in an Authorization header; raises Unauthenticated."""
    if not authorization:
        raise Unauthenticated("no API key: send 'Authorization: Bearer <key>'")
    scheme, _, presented = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not (presented := presented.strip()):
        raise Unauthenticated("the API key is not known: send 'Authorization: Bearer <key>'")
    return presented
