"""Classes on the real stack, and leases of requests that are paused in the real Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from quota_world import World, a_principal, a_record, an_ask, new_world

from gateway.stages.quota import reserve
from serving.adapters.redis import connect, shard_tag
from serving.contract.calls import Chunk, SequenceState
from serving.contract.grant import CLASSES
from serving.contract.usage import Status
from tests.e2e.gateway_wire import eventually

LEASE_S = 0.6
PAUSE_S = 3 * LEASE_S
BODY = {"prompt": "a", "max_tokens": 2}
TOLD = "x-conch-priority"


@pytest.fixture
async def client(stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=stack.base_url, headers=stack.authorization, trust_env=False, timeout=30
    ) as client:
        yield client


async def told(client, headers=None, **body) -> tuple[int, str | None]:
    reply = await client.post("/completions", json=BODY | body, headers=headers)
    return reply.status_code, reply.headers.get(TOLD)


async def key_for(stack, **options) -> dict[str, str]:
    """The header of a new key, once the gateways know it."""
    admin = (stack.var / "secrets" / "admin_key").read_text().strip()
    async with httpx.AsyncClient(
        headers={"authorization": f"Bearer {admin}"}, trust_env=False
    ) as control:
        body = {"name": "bot", "project": "default/default", **options}
        made = await control.post(f"{stack.control_url}/v1/keys", json=body)
        assert made.is_success, made.text
        headers = {"authorization": f"Bearer {made.json()['key']}"}

        async def is_known() -> bool:
            return (await control.get(f"{stack.base_url}/models", headers=headers)).is_success

        await eventually(is_known, within_s=10)
    return headers


@pytest.mark.parametrize("name", CLASSES)
async def test_every_class_is_accepted_and_told_back(stack, client, name):
    assert await told(client, {"x-priority": name}, model=stack.model) == (200, name)


async def test_a_tier_stands_for_a_class_and_the_header_wins(stack, client):
    asked = {"model": stack.model, "service_tier": "flex"}
    assert await told(client, **asked) == (200, "batch")
    assert await told(client, {"x-priority": "agent"}, **asked) == (200, "agent")


async def test_a_key_is_held_to_its_classes(stack, client):
    headers = await key_for(stack, classes=["agent", "batch"])
    for asked, given in (("interactive", "agent"), ("batch", "batch")):
        made = await told(client, headers | {"x-priority": asked}, model=stack.model)
        assert made == (200, given)
    assert await told(client, headers, model=stack.model) == (200, "agent")


async def test_what_is_no_class_is_refused(stack, client):
    status, _ = await told(client, {"x-priority": "urgent"}, model=stack.model)
    assert status == 400


async def test_sessions_and_times_reach_the_model(stack, client):
    said = {"x-session-id": "s-1", "x-timeout-ms": "20000", "x-deadline-ms": "20000"}
    assert await told(client, said, model=stack.model) == (200, "standard")


@pytest.fixture
def empty_world() -> Iterator[World]:
    yield from new_world()


async def test_a_request_that_is_paused_for_long_keeps_its_lease(empty_world: World):
    world = empty_world
    await world.start()
    leases = f"conch:{{{shard_tag('acme')}}}:leases"
    async with world.governor(lease_s=LEASE_S) as governor, connect(world.settings) as redis:
        record = a_record()
        async with reserve(governor, world.directory, a_principal(), an_ask(), record) as event:
            first = await redis.zscore(leases, event.id)
            record.saw(Chunk(state=SequenceState.PAUSED))
            await asyncio.sleep(PAUSE_S)
            assert await redis.zscore(leases, event.id) >= first + (PAUSE_S - LEASE_S) * 1e3
            record.saw(Chunk(state=SequenceState.RUNNING))
    (ended,) = await world.events(1)
    assert (ended.id, ended.status) == (event.id, Status.OK)
    assert (ended.latency_ms or 0) >= PAUSE_S * 1e3
