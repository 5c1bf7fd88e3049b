"""What someone may hand on: a key or a person can never grant more than it has. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from serving.contract.permissions import ROLE_PERMISSIONS, Permission, Role, permissions_of
from serving.contract.policy import NO_LIMITS, Issuer, Key, Limits, User
from serving.contract.principal import Principal

Names = tuple[str, ...] | None
Network = IPv4Network | IPv6Network
BURST = "burst_s"
# A soft budget only warns: it is no bound.
_LIMITS = tuple(f.name for f in fields(Limits) if f.name not in (BURST, "soft_budget_nusd"))
_NAMES = ("models", "adapters", "classes", "tools")


@dataclass(frozen=True, slots=True)
class Authority:
    """All that a key or a person may do. None: not bound in this respect."""

    role: Role
    permissions: frozenset[Permission]
    tenant: str | None = None
    project: str | None = None
    models: Names = None
    adapters: Names = None
    classes: Names = None
    tools: Names = None
    cidrs: Names = None
    expires_at: float | None = None
    limits: Limits = NO_LIMITS


def of_key(key: Key) -> Authority:
    return Authority(
        role=key.role,
        permissions=permissions_of(key.role, key.scopes),
        tenant=key.tenant,
        project=key.project,
        models=key.models,
        adapters=key.adapters,
        classes=key.classes,
        tools=key.tools,
        cidrs=key.cidrs,
        expires_at=key.expires_at,
        limits=key.limits,
    )


def of_user(user: User) -> Authority:
    return Authority(
        role=user.role,
        permissions=permissions_of(user.role),
        tenant=user.tenant,
        project=user.project,
        limits=user.limits,
    )


def of_issuer(issuer: Issuer) -> Authority:
    """Of the people it can vouch for: up to owners where it is bound, and nothing narrows them."""
    return Authority(Role.OWNER, permissions_of(Role.OWNER), tenant=issuer.tenant)


def of_principal(principal: Principal) -> Authority:
    """Of a person that a token speaks for: of a key, `of_key` knows more."""
    return Authority(
        role=principal.role,
        permissions=principal.permissions,
        tenant=principal.tenant,
        project=principal.project,
        models=principal.models,
        adapters=principal.adapters,
        classes=principal.classes,
        tools=principal.tools,
        limits=principal.limits,
    )


def excess(actor: Authority, wanted: Authority) -> Iterator[str]:
    """The respects in which `wanted` is more than `actor` has, by name."""
    if not ROLE_PERMISSIONS[wanted.role] <= ROLE_PERMISSIONS[actor.role]:
        yield "role"
    if not wanted.permissions <= actor.permissions:
        yield "scopes"
    for name in ("tenant", "project"):
        if getattr(actor, name) not in (None, getattr(wanted, name)):
            yield name
    for name in _NAMES:
        if not _names_within(getattr(wanted, name), getattr(actor, name)):
            yield name
    if not _cidrs_within(wanted.cidrs, actor.cidrs):
        yield "cidrs"
    if not _is_at_most(wanted.expires_at, actor.expires_at):
        yield "expires_at"
    yield from limits_beyond(actor.limits, wanted.limits)


def limits_beyond(most: Limits, wanted: Limits) -> Iterator[str]:
    """The limits of `wanted` that let more through than those of `most`, by name."""
    for name in _LIMITS:
        if not _is_at_most(getattr(wanted, name), getattr(most, name)):
            yield f"limits.{name}"
    if most != Limits(burst_s=most.burst_s) and wanted.burst_s > most.burst_s:
        yield f"limits.{BURST}"


def _is_at_most(wanted: float | None, most: float | None) -> bool:
    return most is None or (wanted is not None and wanted <= most)


def _names_within(wanted: Names, mine: Names) -> bool:
    return mine is None or (wanted is not None and set(wanted) <= set(mine))


def _cidrs_within(wanted: Names, mine: Names) -> bool:
    if mine is None:
        return True
    if wanted is None:
        return False
    ranges = _ranges(mine)
    return all(any(_is_in(one, each) for each in ranges) for one in _ranges(wanted))


def _ranges(cidrs: Iterable[str]) -> list[Network]:
    """As few as say the same: two halves hold what lies across them."""
    networks = [ip_network(cidr, strict=False) for cidr in cidrs]
    four = [each for each in networks if isinstance(each, IPv4Network)]
    six = [each for each in networks if isinstance(each, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def _is_in(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.subnet_of(other)
    return isinstance(other, IPv6Network) and one.subnet_of(other)
