"""What a token says of a person, in our words. Pure; what it says is not yet believed."""

from collections.abc import Iterator, Mapping
from typing import Any

from serving.contract.permissions import Role
from serving.contract.policy import Issuer

LONGEST = 256
# Of several roles the first of these counts.
_ORDER = tuple(Role)
NAMES = ("email", "preferred_username", "name", "sub")


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name; `realm_access.roles` also finds `roles` within `realm_access`."""
    if name in claims:
        return claims[name]
    head, dot, rest = name.partition(".")
    inner = claims.get(head)
    return claim(inner, rest) if dot and isinstance(inner, Mapping) else None


def named(claims: Mapping[str, Any], name: str) -> str | None:
    """A claim that is one short, printable text."""
    found = claim(claims, name)
    is_text = isinstance(found, str) and 0 < len(found) <= LONGEST and found.isprintable()
    return found if is_text else None


def role_of(claims: Mapping[str, Any], issuer: Issuer) -> Role | None:
    """The highest of the roles that the issuer's document maps; nothing else is ever granted."""
    if issuer.roles_claim is None:
        return None
    said = set(_texts(claim(claims, issuer.roles_claim)))
    granted = {role for name, role in issuer.roles.items() if name in said}
    return min(granted, key=_ORDER.index, default=None)


def display_name(claims: Mapping[str, Any]) -> str:
    """What people call them, for logs and lists."""
    return next((text for name in NAMES if (text := named(claims, name))), "")


def _texts(value: Any) -> Iterator[str]:
    """A list of texts, or one text with spaces between them, as `scope` is."""
    if isinstance(value, str):
        yield from (value, *value.split())
    elif isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))
