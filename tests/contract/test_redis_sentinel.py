"""A Redis that Sentinels know: found through them, and found again after a failover."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from ports import free_ports
from quota_requests import a_request, used
from redis import Redis, RedisError
from store_servers import folder, process, running_redis

from serving.adapters.quotas import Quotas
from serving.adapters.redis import StoreUnavailable, connect
from serving.adapters.redis_lane import lane
from serving.contract.policy import Limits
from serving.contract.quota import Admission
from serving.settings.stores import RedisSettings
from serving.stack.redis import RedisServer, executable

PASSWORD = "p" * 32
CONFIG = """
port {sentinel}
bind 127.0.0.1
sentinel monitor conch 127.0.0.1 {master} 1
sentinel auth-pass conch {password}
sentinel down-after-milliseconds conch 200
sentinel failover-timeout conch 1000
"""


@dataclass(frozen=True)
class Watched:
    """A master with one replica, and one Sentinel."""

    sentinel: int
    master: ExitStack

    @property
    def settings(self) -> RedisSettings:
        url = f"redis+sentinel://127.0.0.1:{self.sentinel}/conch"
        return RedisSettings(url=url, password=PASSWORD)

    def has_replica(self) -> bool:
        try:
            with Redis(port=self.sentinel) as sentinel:
                replicas = sentinel.sentinel_slaves("conch")
        except RedisError:
            return False
        return [replica["master-link-status"] for replica in replicas] == ["ok"]


@pytest.fixture
def watched() -> Iterator[Watched]:
    with folder() as path, ExitStack() as stack:
        master, replica, sentinel = free_ports(3)
        its = stack.enter_context(ExitStack())
        for port, end in ((master, its), (replica, stack)):
            server = RedisServer(path / str(port), path / f"{port}.sock")
            options = {"port": str(port), "bind": "127.0.0.1", "masterauth": PASSWORD}
            end.enter_context(running_redis(server, PASSWORD, **options))
        with Redis(port=replica, password=PASSWORD) as client:
            client.replicaof("127.0.0.1", master)
        config = path / "sentinel.conf"
        config.write_text(CONFIG.format(sentinel=sentinel, master=master, password=PASSWORD))
        command = (str(executable()), str(config), "--sentinel")
        stack.enter_context(process(command, path / "log", stop=signal.SIGKILL))
        yield Watched(sentinel, its)


async def test_the_master_is_found_and_found_again_when_another_takes_over(watched: Watched):
    limits = Limits(requests_per_minute=10)
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(watched.has_replica):
            await asyncio.sleep(0.05)
        async with connect(watched.settings) as redis, lane(redis, timeout_s=1) as shared:
            quotas = Quotas(redis, lease_s=30, lane=shared)
            first = a_request("a", limits)
            assert isinstance(await quotas.reserve(first), Admission)
            assert await redis.wait(1, 1_000) == 1
            await asyncio.to_thread(watched.master.close)
            given = await _answered(quotas)
            assert given.requests is not None
            assert given.requests.remaining == 8  # the replica knew of the first
            assert await quotas.settle(used(first, 1, 1))


async def _answered(quotas: Quotas) -> Admission:
    while True:
        try:
            given = await quotas.reserve(a_request("b", Limits(requests_per_minute=10)))
        except StoreUnavailable:
            await asyncio.sleep(0.05)
        else:
            assert isinstance(given, Admission)
            return given
