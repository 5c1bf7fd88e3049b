"""Kill -9 of Redis and of gateways: every request that was let in is one usage event."""

import asyncio
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from quota_world import World, a_directory, a_record, new_world, tokens

from gateway.governor import Governor
from serving.adapters.quotas import Quotas
from serving.adapters.redis import connect, shard_tag
from serving.adapters.usage_stream import UsageStream
from serving.contract.errors import Refused
from serving.contract.policy import Limits, OnRedisDown, Settings
from serving.contract.usage import Status, UsageEvent

IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
KILLS = 10 if IS_FULL else 3
PROCESSES = 5 if IS_FULL else 1
CLIENTS = 16
LIMITS = Limits(requests_per_minute=10**6, concurrent_requests=CLIENTS, budget_nusd=10**15)


@pytest.fixture
def world() -> Iterator[World]:
    yield from new_world()


@pytest.mark.parametrize("policy", OnRedisDown)
async def test_redis_may_be_killed_at_any_time(world: World, policy: OnRedisDown):
    settings = Settings(on_redis_down=policy, allowance_requests_per_minute=100_000)
    world.directory = a_directory(settings, limits=LIMITS)
    asked: dict[str, Status] = {}
    await world.start()
    async with world.governor() as governor:
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(load_of(world, governor, number, asked, is_over))
            for _ in range(KILLS):
                await several(asked, 200)
                await world.kill()
                await several(asked, 20)
                await world.start()
            await several(asked, 200)
            is_over.set()
    async with world.governor():  # for what the first has left on disk
        # Of one whose lease expired first, what it had used comes after that it is lost.
        events = await once_each(
            world, len(asked), when=lambda event: event.status is asked[event.request_id]
        )
    assert {event.request_id: event.status for event in events} == asked
    assert await world.left() == []
    running, spent, held = await tenant_counters(world)
    assert (running, held) == (0, 0)
    if policy is OnRedisDown.REFUSE:  # what was let in unasked is in the ledger only
        assert spent == sum(event.cost_nusd for event in events)


async def tenant_counters(world: World) -> tuple[float, float, float]:
    """Live leases, nanodollars spent and held; see quota_scope.lua."""
    async with connect(world.settings) as redis:
        state = await redis.get(f"conch:{{{shard_tag('acme')}}}:q:acme:tenant")
    _, running, _, spent, held, *_ = struct.unpack_from("<9d", state)
    return running, spent, held


async def load_of(
    world: World,
    governor: Governor,
    number: int,
    asked: dict[str, Status],
    is_over: asyncio.Event,
) -> None:
    turn = 0
    while not is_over.is_set():
        turn += 1
        name = f"{number}-{turn}"
        try:
            await world.request(governor, tokens(3, 4), a_record(name))
            asked[name] = Status.OK
        except Refused:  # while it is away, or what it held before it went is not settled yet
            asked[name] = Status.REFUSED
            await asyncio.sleep(0.002)


async def several(asked: dict[str, Status], more: int) -> None:
    until = len(asked) + more
    while len(asked) < until:
        await asyncio.sleep(0.001)


async def test_gateways_may_be_killed_at_any_time(world: World):
    await world.start()
    let_in: set[str] = set()
    for _ in range(PROCESSES):
        let_in |= await killed(world.server.socket, world.spool)
    async with world.governor():
        events = await once_each(world, len(let_in))
    seen = {event.request_id: event.status for event in events}
    assert seen.keys() >= let_in  # one may have been let in and not told of
    assert set(seen.values()) == {Status.OK, Status.LOST}
    assert await world.left() == []


async def killed(socket: Path, spool: Path) -> set[str]:
    """A process of requests; the names of those that it had let in when it was killed."""
    command = [str(Path(__file__).with_name("governed_process.py")), str(socket), str(spool), "8"]
    path = os.pathsep.join(sys.path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=os.environ | {"PYTHONPATH": path},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    names = [(await process.stdout.readline()).decode().strip() for _ in range(200)]
    process.kill()
    names += (await process.stdout.read()).decode().split()
    await process.wait()
    return {name for name in names if name.count("-") == 2}


async def once_each(
    world: World, count: int, *, when: Callable[[UsageEvent], bool] = lambda _: True
) -> list[UsageEvent]:
    """Events of `count` requests at least, the ones that count; leases that expire are reaped.

    All of them as soon as `when` holds for each.
    """
    found: dict[str, UsageEvent] = {}
    deadline = time.monotonic() + 20
    async with connect(world.settings) as redis:
        usage, quotas = UsageStream(redis), Quotas(redis, lease_s=1)
        while len(found) < count or not all(map(when, found.values())) or await world.left():
            assert time.monotonic() < deadline, f"{len(found)} of {count} requests have an event"
            await quotas.reap(time.time())
            entries = await usage.read("test", 10_000, block_ms=50)
            await usage.ack(entries)
            for event in (entry.event for entry in entries if entry.event):
                before = found.get(event.id)
                # As the ledger has it: whatever is settled takes the place of what was lost.
                if before is None or before.status is Status.LOST:
                    found[event.id] = event
    assert len({event.request_id for event in found.values()}) == len(found)
    return list(found.values())
