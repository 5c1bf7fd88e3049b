"""API keys: whether a text opens one, and whether that is good now."""

import hmac
import math
from dataclasses import dataclass
from ipaddress import ip_network

from serving.contract.api_keys import digest, parse
from serving.contract.errors import Unauthenticated
from serving.contract.permissions import Permission, Role, permissions_of
from serving.contract.policy import Key, Secret
from serving.contract.principal import Principal
from serving.identity.addresses import Networks
from serving.identity.directory import Directory

# During a rotation a key has two secrets, and so has every other one, known or not: the time that
# comparing takes tells nothing.
_COMPARED = 2
_NEVER = Secret("0" * 64)
_NOBODY = Key("", "", Role.VIEWER, ())
_KNOWN_SCOPES = frozenset(Permission)


@dataclass(frozen=True, slots=True)
class KeyProof:
    """A text opens `key` until `expires_at`, as long as this very document is in force."""

    key: Key
    principal: Principal
    networks: Networks | None
    expires_at: float

    def holds(self, directory: Directory, now: float) -> bool:
        return now < self.expires_at and directory.key(self.key.id) is self.key


def prove(text: str, directory: Directory, pepper: bytes, now: float) -> KeyProof:
    """Raises Unauthenticated. To who has no secret of a key, nothing says whether there is one."""
    presented = parse(text)
    if presented is None:
        raise not_known()
    key = directory.key(presented.id) or _NOBODY
    secret = _opening(key, digest(presented, pepper))
    if secret is None:
        raise not_known()
    _check_current(key, secret, now)
    ends = (key.expires_at, secret.expires_at)
    return KeyProof(
        key,
        principal_of(key),
        None if key.cidrs is None else _networks(key.cidrs),
        min((end for end in ends if end is not None), default=math.inf),
    )


def not_known() -> Unauthenticated:
    return Unauthenticated("the API key is not known: send 'Authorization: Bearer <key>'")


def principal_of(key: Key) -> Principal:
    # A scope that only a newer version knows gives nothing here.
    scopes = None if key.scopes is None else _KNOWN_SCOPES.intersection(key.scopes)
    return Principal(
        id=f"key:{key.id}",
        name=key.name,
        role=key.role,
        permissions=permissions_of(key.role, scopes),
        tenant=key.tenant,
        project=key.project,
        limits=key.limits,
        models=key.models,
        adapters=key.adapters,
        classes=key.classes,
        tools=key.tools,
    )


def _opening(key: Key, presented: str) -> Secret | None:
    """The secret of `key` with that digest. All are compared, whichever it is."""
    found = None
    missing = _COMPARED - len(key.secrets)
    for secret in (*key.secrets, *(_NEVER,) * missing):
        if hmac.compare_digest(secret.digest, presented):
            found = secret
    return found


def _check_current(key: Key, secret: Secret, now: float) -> None:
    if not key.is_active:
        raise Unauthenticated("this API key was revoked: make a new one")
    if key.expires_at is not None and key.expires_at <= now:
        raise Unauthenticated("this API key has expired: make a new one")
    if secret.expires_at is not None and secret.expires_at <= now:
        raise Unauthenticated("this API key was rotated: use the newer one of the same id")


def _networks(cidrs: tuple[str, ...]) -> Networks:
    return tuple(ip_network(cidr, strict=False) for cidr in cidrs)
