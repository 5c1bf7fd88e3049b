"""Redis: one server, Sentinels or a cluster, by the same client; its exceptions end here.

It connects when it is first used, and anew whenever it has to.
"""

import asyncio
from binascii import crc_hqx
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, cast

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    ChildDeadlockedError,
    IncorrectPolicyType,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from serving.settings.redis_url import Kind, RedisAddress
from serving.settings.stores import RedisSettings

__all__ = ["SHARDS", "Redis", "StoreRefused", "StoreUnavailable", "connect", "our_errors"]

SHARDS = 16
_RETRIES = 1  # of a connection that broke while it was idle; who waits longer counts for himself
_FOREIGN = (
    RedisError,
    RedisClusterException,
    ChildDeadlockedError,
    IncorrectPolicyType,
    OSError,
    TimeoutError,
)


class StoreUnavailable(Exception):
    """Redis cannot be asked. What was asked for last may have been done or not."""


class StoreRefused(StoreUnavailable):
    """Redis answered with an error: it is out of memory, say, or no master any more."""


@contextmanager
def our_errors() -> Iterator[None]:
    """Raises every exception of the client as StoreUnavailable.

    And a cancellation that it lost: on Python 3.11 `asyncio.wait_for`, with which it sends, returns
    instead when both come at once.
    """
    cancelled = _cancellations()
    try:
        yield
    except _FOREIGN as error:
        raise ours(error) from error
    if _cancellations() > cancelled:
        raise asyncio.CancelledError


def _cancellations() -> int:
    """How often the running task was asked to end; 0 outside of any."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return 0
    return 0 if task is None else task.cancelling()


def ours(error: BaseException) -> StoreUnavailable:
    """What we call an exception of the client."""
    kind = StoreRefused if isinstance(error, ResponseError) else StoreUnavailable
    return kind(f"{type(error).__name__}: {error}")


@lru_cache(maxsize=4096)
def shard_tag(tenant: str) -> str:
    """The hash tag, without its braces, of all keys of a tenant: CRC16 as Redis Cluster has it."""
    return f"s{crc_hqx(tenant.encode(), 0) % SHARDS}"


def shard_tags() -> tuple[str, ...]:
    return tuple(f"s{number}" for number in range(SHARDS))


@asynccontextmanager
async def connect(settings: RedisSettings) -> AsyncIterator[Redis]:
    """A client for as long as the block lasts."""
    address = settings.address
    if address.kind is Kind.SENTINEL:
        async with _by_sentinels(settings, address) as redis:
            yield redis
        return
    client = _cluster(settings, address) if address.kind is Kind.CLUSTER else _single(settings)
    try:
        yield client
    finally:
        await client.aclose()


def _single(settings: RedisSettings) -> Redis:
    address = settings.address
    if address.socket is not None:
        where: dict[str, Any] = {"unix_socket_path": address.socket}
    else:
        host, port = address.hosts[0]
        where = {"host": host, "port": port, **_tcp(settings)}
    return Redis(db=address.database, **where, **_common(settings), **_credentials(settings))


def _cluster(settings: RedisSettings, address: RedisAddress) -> Redis:
    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        require_full_coverage=False,  # tenants of the nodes that are there go on
        **_tcp(settings),
        **_common(settings),
        **_credentials(settings),
    )
    # All that is asked of either here they have in common.
    return cast("Redis", cluster)


@asynccontextmanager
async def _by_sentinels(settings: RedisSettings, address: RedisAddress) -> AsyncIterator[Redis]:
    own = {"username": settings.sentinel_username, "password": _text(settings.sentinel_password)}
    common = _tcp(settings) | _common(settings)
    sentinels: Any = Sentinel(address.hosts, sentinel_kwargs=own | common)  # type: ignore[no-untyped-call]
    redis: Redis = sentinels.master_for(
        address.service, db=address.database, **common, **_credentials(settings)
    )
    try:
        yield redis
    finally:
        for client in (redis, *sentinels.sentinels):
            await client.aclose()


def _common(settings: RedisSettings) -> dict[str, Any]:
    return {
        "protocol": 2,
        "client_name": "conch",
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.connect_timeout_s,
        "max_connections": settings.max_connections,
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), _RETRIES),
    }


def _credentials(settings: RedisSettings) -> dict[str, Any]:
    address = settings.address
    return {
        "username": settings.username or address.username,
        "password": _text(settings.password) or address.password,
    }


def _text(secret: Any) -> str | None:
    return None if secret is None else str(secret.get_secret_value())


def _tcp(settings: RedisSettings) -> dict[str, Any]:
    if not settings.address.is_tls:
        return {"socket_keepalive": True}
    return {
        "socket_keepalive": True,
        "ssl": True,
        "ssl_ca_certs": settings.ca_file and str(settings.ca_file),
        "ssl_certfile": settings.cert_file and str(settings.cert_file),
        "ssl_keyfile": settings.key_file and str(settings.key_file),
        "ssl_check_hostname": settings.check_hostname,
    }
