"""The quota engine on a real Redis, alone and as a cluster, and on one whose clock tests set."""

from collections.abc import AsyncIterator, Iterator

import pytest
from quota_requests import Clocked
from redis import Redis
from stores import RedisStore

from serving.adapters import quota_scripts
from serving.adapters.quotas import Quotas
from serving.adapters.redis import Redis as AsyncRedis
from serving.adapters.redis import connect
from serving.adapters.redis_lane import lane
from serving.adapters.usage_stream import UsageStream

LEASE_S = 30.0


@pytest.fixture(params=["server", "cluster"])
def quota_store(
    request: pytest.FixtureRequest, redis_server: RedisStore, redis_cluster: RedisStore
) -> RedisStore:
    store = redis_server if request.param == "server" else redis_cluster
    store.flush()
    return store


@pytest.fixture
async def quota_redis(quota_store: RedisStore) -> AsyncIterator[AsyncRedis]:
    async with connect(quota_store.settings()) as redis:
        yield redis


@pytest.fixture
async def quotas(quota_redis: AsyncRedis) -> AsyncIterator[Quotas]:
    async with lane(quota_redis) as shared:
        yield Quotas(quota_redis, lease_s=LEASE_S, lane=shared)


@pytest.fixture
def usage(quota_redis: AsyncRedis) -> UsageStream:
    return UsageStream(quota_redis)


@pytest.fixture
def clocked(redis_server: RedisStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocked]:
    """The scripts on one Redis, with a time that the test sets."""
    redis_server.flush()
    for name in ("RESERVE", "SETTLE", "REAP", "RENEW"):
        monkeypatch.setattr(quota_scripts, name, Clocked.script(getattr(quota_scripts, name)))
    with redis_server.client() as client:
        assert isinstance(client, Redis)
        yield Clocked(client)
