"""No exception of the client gets past the adapter, and keys are where Redis Cluster has them."""

import asyncio
import inspect

import pytest
import redis.exceptions
from redis.crc import key_slot

from serving.adapters import quota_keys
from serving.adapters.redis import (
    StoreRefused,
    StoreUnavailable,
    connect,
    our_errors,
    shard_tag,
    shard_tags,
)
from serving.adapters.redis_scripts import Script
from serving.contract.usage import Status, UsageEvent
from serving.settings.stores import RedisSettings

FOREIGN = [
    kind
    for _, kind in inspect.getmembers(redis.exceptions, inspect.isclass)
    if issubclass(kind, Exception)
]
EVENT = UsageEvent(
    id="a",
    request_id="r",
    began_at=1.0,
    tenant="acme",
    project="acme/web",
    principal="key:k1",
    endpoint="chat",
    model="de}mo{x}",
    status=Status.LOST,
)


@pytest.mark.parametrize("kind", [*FOREIGN, OSError, ConnectionResetError, TimeoutError])
def test_every_exception_of_the_client_becomes_ours(kind):
    # By __new__: some want arguments that only the client can make.
    error = kind.__new__(kind)
    with pytest.raises(StoreUnavailable, match=kind.__name__) as caught, our_errors():
        raise error
    is_answer = issubclass(kind, redis.exceptions.ResponseError)
    assert (type(caught.value) is StoreRefused) == is_answer


@pytest.mark.parametrize("kind", [KeyError, asyncio.CancelledError])
def test_other_exceptions_stay_what_they_are(kind):
    with pytest.raises(kind), our_errors():
        raise kind


async def test_a_server_that_is_not_there_is_unavailable():
    settings = RedisSettings(url="redis://127.0.0.1:1", connect_timeout_s=0.2)
    async with connect(settings) as client:
        with pytest.raises(StoreUnavailable), our_errors():
            await client.ping()


@pytest.mark.parametrize("tenant", ["acme", "default", "a-b-c", "x" * 100])
def test_a_tenant_s_shard_is_that_of_redis_cluster_s_own_hash(tenant):
    assert shard_tag(tenant) == f"s{key_slot(tenant.encode()) % 16}"
    assert shard_tag(tenant) in shard_tags()


@pytest.mark.parametrize("of", [quota_keys.of_tenant, quota_keys.of_model])
def test_all_keys_of_a_lease_are_in_one_slot(of):
    keys = of(EVENT)
    slots = {key_slot(key.encode()) for key in (*keys.of_reserve, *keys.of_settle)}
    assert len(slots) == 1
    assert all(key.startswith("conch:{") for key in keys.of_settle)


def test_the_same_keys_are_settled_that_were_reserved():
    keys = quota_keys.of_tenant(EVENT)
    assert keys.of_reserve[2:] == keys.of_settle[3:]
    assert keys.of_reserve[:2] == keys.of_settle[:2]


def test_a_script_is_known_by_the_hash_that_redis_gives_it():
    script = Script("quota_clock", "quota_renew")
    assert script.source.index("local function now_ms") < script.source.index("ZADD")
    command = script.call(["a", "b"], 1, b"x")
    assert command.words == ("EVALSHA", script.sha, 2, "a", "b", 1, b"x")
    assert command.fallback == ("EVAL", script.source, 2, "a", "b", 1, b"x")
