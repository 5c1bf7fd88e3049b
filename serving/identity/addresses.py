"""Where requests come from: networks, the client behind proxies, and what one address may hold.

Clients of one IPv6 /64 count as one address: a single machine has that many to choose from.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from serving.contract.errors import AddressLimited

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

MOST_HOPS = 16
CONNECTIONS_RETRY_S = 1.0
_SITE_BITS = 64


@lru_cache(maxsize=64)
def networks_of(text: str) -> Networks:
    """CIDRs with commas between them, `10.0.0.0/8, ::1`; raises ValueError naming the bad one.

    An address with host bits stands for its network, one without a prefix for itself.
    """
    parts = (part.strip() for part in text.split(","))
    return tuple(ip_network(part, strict=False) for part in parts if part)


@lru_cache(maxsize=4096)
def parsed(address: str) -> Address | None:
    """An IPv4 address that came wrapped in an IPv6 one is itself; None for what is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def is_within(address: str | None, networks: Networks) -> bool:
    found = None if address is None else parsed(address)
    return found is not None and any(found in network for network in networks)


@lru_cache(maxsize=4096)
def group_of(address: str) -> str:
    """What is counted as one address."""
    found = parsed(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> _SITE_BITS << _SITE_BITS, _SITE_BITS)))
    return address if found is None else str(found)


def client_address(peer: str | None, forwarded: Iterable[str], trusted: Networks) -> str | None:
    """The client's address: the peer's, or what trusted proxies say stands behind it.

    `forwarded` are the values of X-Forwarded-For in their order. Each proxy appends whom it was
    asked by, so they are read from the end, and nothing left of the first untrusted one counts:
    that is only what the client says of itself.
    """
    client = peer
    for hop in _from_the_end(forwarded):
        if not is_within(client, trusted):
            return client
        if parsed(hop) is None:
            return client
        client = hop
    return client


def _from_the_end(forwarded: Iterable[str]) -> Iterator[str]:
    hops = [hop for value in forwarded for hop in value.split(",")]
    return (_without_port(hop.strip()) for hop in hops[: -MOST_HOPS - 1 : -1])


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, _, port = hop.partition(":")
    return host if port.isdigit() and "." in host else hop


class AddressLoad:
    """What the clients of each address hold at a time: connections, and bytes of bodies.

    An address is known only as long as it holds something. Addresses of `exempt` networks are not
    limited: proxies, behind which are many clients. None for a limit: there is none.
    """

    def __init__(
        self, *, connections: int | None, body_bytes: int | None, exempt: Networks = ()
    ) -> None:
        self._most_connections = connections
        self._most_bytes = body_bytes
        self._exempt = exempt
        self._connections: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    def connected(self, address: str | None) -> None:
        """Raises AddressLimited; such a connection is not counted, and not `disconnected`."""
        if not self._take(self._connections, address, 1, self._most_connections):
            raise _limited(f"has {self._most_connections} connections already; close some")

    def disconnected(self, address: str | None) -> None:
        self._give(self._connections, address, 1)

    def took(self, address: str | None, count: int) -> None:
        """`count` more bytes of a body are in memory. Raises AddressLimited; those do not count."""
        if not self._take(self._bytes, address, count, self._most_bytes):
            raise _limited(f"sends more than {self._most_bytes} bytes at a time; send them in turn")

    def released(self, address: str | None, count: int) -> None:
        """So many bytes of what it `took` are gone again, however the request ended."""
        self._give(self._bytes, address, count)

    def __len__(self) -> int:
        """How many addresses hold something."""
        return len(self._connections.keys() | self._bytes.keys())

    def _take(
        self, held: dict[str, int], address: str | None, count: int, most: int | None
    ) -> bool:
        if address is None or count == 0:
            return True
        group = group_of(address)
        wanted = held.get(group, 0) + count
        if most is not None and wanted > most and not is_within(address, self._exempt):
            return False
        held[group] = wanted
        return True

    def _give(self, held: dict[str, int], address: str | None, count: int) -> None:
        if address is None or count == 0:
            return
        group = group_of(address)
        left = held[group] - count
        if left:
            held[group] = left
        else:
            del held[group]


def _limited(what: str) -> AddressLimited:
    error = AddressLimited(f"this address {what}")
    error.retry_after_s = CONNECTIONS_RETRY_S
    return error
