"""What a Redis URL says: one server, Sentinels that know it, or a cluster. Pure.

`redis://[user[:password]@]host[:port][/database]`, `unix://[user[:password]@]/path[?db=database]`,
`redis+sentinel://host[:port],host[:port]/service[/database]`, `redis+cluster://host[:port],…`;
with `rediss` in place of `redis` over TLS.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

PORT = 6379
SENTINEL_PORT = 26379
SCHEMES = re.compile(r"(?P<redis>rediss?)(\+(?P<kind>sentinel|cluster))?|unix")
HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:/@\s]+)(:(?P<port>\d{1,5}))?")


class Kind(StrEnum):
    """Who is asked for the server: itself, its Sentinels, or any node of its cluster."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is. `hosts` is empty for a unix socket, `service` is what Sentinels call it."""

    kind: Kind
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str | None = None
    service: str | None = None
    database: int = 0
    is_tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def parse(url: str) -> RedisAddress:
    """Raises ValueError, whose text has nothing of the URL in it that may be secret."""
    scheme, _, _ = url.partition("://")
    form = SCHEMES.fullmatch(scheme)
    if form is None or not url.startswith(f"{scheme}://"):
        known = "redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        raise ValueError(f"a Redis URL begins with {known}")
    credentials, rest = _split_credentials(url.removeprefix(f"{scheme}://"))
    if scheme == "unix":
        return _unix(rest, *credentials)
    kind = Kind(form["kind"] or Kind.SINGLE)
    return _network(rest, kind, form["redis"] == "rediss", *credentials)


def _split_credentials(rest: str) -> tuple[tuple[str | None, str | None], str]:
    """Username and password, and what follows them."""
    authority, slash, path = rest.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    username, _, password = userinfo.partition(":")
    return (unquote(username) or None, unquote(password) or None), f"{hosts}{slash}{path}"


def _unix(rest: str, username: str | None, password: str | None) -> RedisAddress:
    parts = urlsplit(f"unix://{rest}")
    if parts.netloc or len(parts.path) < 2:
        raise ValueError("a socket has an absolute path: unix:///path/to/redis.sock")
    options = dict(parse_qsl(parts.query))
    if options.keys() - {"db"}:
        raise ValueError("the only option of a unix URL is db, as in unix:///path?db=1")
    return RedisAddress(
        Kind.SINGLE,
        socket=unquote(parts.path),
        database=_database(options.get("db", "")),
        username=username,
        password=password,
    )


def _network(
    rest: str, kind: Kind, is_tls: bool, username: str | None, password: str | None
) -> RedisAddress:
    if "?" in rest or "#" in rest:
        raise ValueError("a Redis URL has no options here: REDIS_* variables set them")
    authority, _, path = rest.partition("/")
    port = SENTINEL_PORT if kind is Kind.SENTINEL else PORT
    hosts = tuple(_host(text, port) for text in authority.split(","))
    if kind is Kind.SINGLE and len(hosts) > 1:
        raise ValueError("several hosts are a redis+sentinel:// or a redis+cluster:// URL")
    service, database = _path(path, kind)
    return RedisAddress(
        kind,
        hosts=hosts,
        service=service,
        database=database,
        is_tls=is_tls,
        username=username,
        password=password,
    )


def _host(text: str, default_port: int) -> tuple[str, int]:
    form = HOST.fullmatch(text)
    port = int(form["port"] or default_port) if form else 0
    if form is None or not 0 < port < 1 << 16:
        raise ValueError("each host of a Redis URL is `host` or `host:port`, [::1]:6379 for IPv6")
    return form["host"].strip("[]"), port


def _path(path: str, kind: Kind) -> tuple[str | None, int]:
    """Service and database."""
    if kind is Kind.SENTINEL:
        service, _, database = path.partition("/")
        if not service:
            raise ValueError(
                "a Sentinel URL names the service: redis+sentinel://host:26379/mymaster"
            )
        return unquote(service), _database(database)
    if kind is Kind.CLUSTER and _database(path):
        raise ValueError("a cluster has no database but 0")
    return None, _database(path)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("the database of a Redis URL is a number, as in redis://host:6379/0")
    return int(text or 0)
