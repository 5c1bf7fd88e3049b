"""Identify: who calls, and whether it may do what it came for."""

import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Protocol, Self

from gateway.policy import Policy
from serving.contract.errors import Forbidden
from serving.contract.permissions import Permission, Role
from serving.contract.principal import Principal
from serving.identity import identify as identity
from serving.identity import keys
from serving.identity.identify import Credentials, Verifier, bearer

ALONE = Principal(
    id="key:alone",
    name="the one key",
    role=Role.SERVICE,
    permissions=frozenset({Permission.INFERENCE, Permission.MODELS_READ}),
    tenant="default",
    project="default/default",
)


class Gatekeeper(Protocol):
    """Knows who may come in."""

    async def admit(self, credentials: Credentials) -> Principal:
        """Raises Unauthenticated, Forbidden, AddressLimited or Unavailable."""


@dataclass(frozen=True, slots=True)
class Governed:
    """Keys and tokens as the published policy has them at this moment."""

    policy: Policy
    verifier: Verifier

    async def admit(self, credentials: Credentials) -> Principal:
        directory = self.policy.directory
        return await identity.identify(credentials, directory, self.verifier, time.time())


@dataclass(frozen=True, slots=True)
class Ungoverned:
    """One key that opens everything, and no policy: for one person's machine and benchmarks."""

    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, key: str) -> Self:
        return cls(_digest(key.encode()))

    async def admit(self, credentials: Credentials) -> Principal:
        # Digests are of equal length: the time that comparing takes tells nothing of the key.
        presented = _digest(bearer(credentials.authorization))
        if not hmac.compare_digest(presented, self.digest):
            raise keys.not_known()
        return ALONE


async def identify(
    credentials: Credentials,
    gatekeeper: Gatekeeper,
    permission: Permission = Permission.INFERENCE,
) -> Principal:
    """The principal of a request, which has `permission`; who generates has a project, too."""
    principal = await gatekeeper.admit(credentials)
    principal.require(permission)
    if permission is Permission.INFERENCE and principal.project is None:
        raise Forbidden(
            f"'{principal.id}' belongs to no project, and what is generated is accounted to one: "
            "use a key of a project ('conch keys create' makes one)"
        )
    return principal


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
