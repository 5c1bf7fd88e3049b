"""Every request that a governor lets in ends in one usage event, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from quota_world import World, a_directory, a_principal, a_record, an_ask, new_world, tokens

from gateway.governor import Governor
from gateway.stages.quota import noted, reserve
from serving.adapters.redis import connect, shard_tag
from serving.contract.errors import (
    AdapterNotFound,
    Cancelled,
    EngineFailed,
    Expired,
    Forbidden,
    InvalidRequest,
    QuotaRequests,
    QuotaTooSmall,
    QuotaUnavailable,
)
from serving.contract.policy import (
    Limits,
    LogPrivacy,
    Model,
    OnRedisDown,
    Project,
    Settings,
)
from serving.contract.usage import Status

ALLOW = Settings(on_redis_down=OnRedisDown.ALLOW, allowance_requests_per_minute=3)


@pytest.fixture
def empty_world() -> Iterator[World]:
    yield from new_world()


@pytest.fixture
async def world(empty_world: World) -> World:
    await empty_world.start()
    return empty_world


@pytest.fixture
async def governor(world: World) -> AsyncIterator[Governor]:
    async with world.governor() as governor:
        yield governor


async def test_what_was_used_is_settled_and_what_is_left_is_told(world: World, governor: Governor):
    world.directory = a_directory(
        limits=Limits(requests_per_minute=60, output_tokens_per_minute=1_000)
    )
    record = await world.request(governor, tokens(7, 30), user="ann", session="s1")
    (event,) = await world.events(1)
    assert (event.status, event.prompt_tokens, event.completion_tokens) == (Status.OK, 7, 30)
    assert event.cost_nusd == 7 * 100 + 30 * 400
    assert (event.tenant, event.project, event.principal) == ("acme", "acme/web", "key:k1")
    assert (event.user, event.session, event.model) == ("ann", "s1", "demo")
    assert event.latency_ms is not None
    told = dict(record.headers)
    assert told[b"x-ratelimit-remaining-requests"] == b"59"
    assert told[b"x-ratelimit-remaining-tokens"] == b"900"
    assert await world.left() == []


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (EngineFailed("x"), Status.FAILED, "engine_failed"),
        (Expired("x"), Status.FAILED, "expired"),
        (Cancelled("x"), Status.CANCELLED, "cancelled"),
        (ZeroDivisionError(), Status.FAILED, "internal_error"),
    ],
)
async def test_how_it_ended_is_in_its_event(
    world: World, governor: Governor, error, status, reason
):
    record = a_record()

    async def fail() -> None:
        async with reserve(governor, world.directory, a_principal(), an_ask(), record):
            record.saw(tokens(5, 6))
            raise error

    with pytest.raises(type(error)):
        await fail()
    (event,) = await world.events(1)
    assert (event.status, event.reason, event.completion_tokens) == (status, reason, 6)


async def test_a_task_that_is_cancelled_settles_all_the_same(world: World, governor: Governor):
    record, is_inside = a_record(), asyncio.Event()

    async def stream() -> None:
        async with reserve(governor, world.directory, a_principal(), an_ask(), record):
            record.saw(tokens(5, 6))
            is_inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stream())
    await is_inside.wait()
    task.cancel()
    await asyncio.wait([task])
    (event,) = await world.events(1)
    assert (event.status, event.completion_tokens) == (Status.CANCELLED, 6)
    assert await world.left() == []


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_that_leaves_while_quotas_are_asked_for_holds_nothing(
    world: World, governor: Governor, turns: int
):
    world.directory = a_directory(
        Model("demo", limits=Limits(concurrent_requests=1)), limits=Limits(concurrent_requests=1)
    )
    task = asyncio.create_task(world.request(governor, tokens(1, 1)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if turns:
        (event,) = await world.events(1)
        assert event.status is Status.CANCELLED
    await world.request(governor, tokens(1, 1))
    await world.events(1)
    assert await world.left() == []


async def test_a_refused_request_is_an_event_too(world: World, governor: Governor):
    world.directory = a_directory(limits=Limits(requests_per_minute=1, burst_s=1))
    await world.request(governor, tokens(1, 1))
    record = a_record()
    with pytest.raises(QuotaRequests) as refused:
        await world.request(governor, tokens(1, 1), record)
    assert refused.value.retry_after_s == pytest.approx(60, abs=1)
    assert dict(record.headers)[b"x-ratelimit-remaining-requests"] == b"0"
    statuses = {event.status: event.reason for event in await world.events(2)}
    assert statuses == {Status.OK: None, Status.REFUSED: "quota_requests"}
    assert world.metrics.refused.labels("quota_requests")._value.get() == 1


async def test_what_ends_before_its_quota_is_asked_for_is_an_event_too(
    world: World, governor: Governor
):
    endings: tuple[tuple[BaseException, Status], ...] = (
        (InvalidRequest("no JSON"), Status.REFUSED),
        (AdapterNotFound("no such adapter"), Status.REFUSED),
        (Cancelled("the client hung up"), Status.CANCELLED),
        (RuntimeError("a defect"), Status.FAILED),
    )
    for error, _ in endings:
        noting = noted(governor, world.directory, a_principal(), a_record())
        with pytest.raises(type(error)), noting:
            raise error
    events = await world.events(len(endings))
    assert sorted((e.reason, e.status) for e in events) == sorted(
        (getattr(error, "code", "internal_error"), status) for error, status in endings
    )
    assert {(e.tenant, e.project, e.model, e.cost_nusd) for e in events} == {
        ("acme", "acme/web", "", 0)
    }


async def test_what_can_never_pass_says_so_to_the_client(world: World, governor: Governor):
    world.directory = a_directory(limits=Limits(output_tokens_per_minute=50))
    record = a_record()
    with pytest.raises(QuotaTooSmall):
        await world.request(governor, tokens(1, 1), record, max_tokens=51)
    assert (b"x-should-retry", b"false") in record.headers
    await world.request(governor, tokens(1, 1), max_tokens=None)  # a guess fits itself in
    await world.events(2)


async def test_who_is_bound_to_no_project_cannot_generate(world: World, governor: Governor):
    for principal in (a_principal(project=None), a_principal(tenant=None, project=None)):
        with pytest.raises(Forbidden, match="use a key of a project"):
            async with reserve(governor, world.directory, principal, an_ask(), a_record()):
                pass


async def test_a_private_project_keeps_no_word_of_who_asked(world: World, governor: Governor):
    private = Project("acme/web", "acme", "Web", log_privacy=LogPrivacy.NONE)
    world.directory = a_directory(private)
    await world.request(governor, tokens(1, 1), user="ann", session="s1")
    (event,) = await world.events(1)
    assert (event.user, event.session) == (None, None)


async def test_estimates_learn_from_what_ended_well(world: World, governor: Governor):
    for _ in range(40):
        await world.request(governor, tokens(20, 10), prompt_bytes=200)
    learnt = governor.estimates.of("key:k1", "demo", an_ask(max_tokens=None).calls, 200)
    assert 20 <= learnt.prompt_tokens < 30
    assert 10 <= learnt.completion_tokens < 12
    await world.events(40)


async def test_a_running_request_is_renewed_with_its_tokens_so_far(world: World):
    leases = f"conch:{{{shard_tag('acme')}}}:leases"
    async with world.governor(lease_s=0.6) as governor, connect(world.settings) as redis:
        record = a_record()
        async with (
            reserve(governor, world.directory, a_principal(), an_ask(), record) as event,
            asyncio.timeout(10),
        ):
            expires = await redis.zscore(leases, event.id)
            record.saw(tokens(5, 6))
            lease = leases.replace("leases", f"lease:{event.id}")
            while await redis.hget(lease, "used") != b"5 6 2900":
                await asyncio.sleep(0.01)
            assert await redis.zscore(leases, event.id) > expires
    (ended,) = await world.events(1)
    assert (ended.id, ended.status) == (event.id, Status.OK)


async def test_what_has_ended_is_stored_before_the_process_does(world: World):
    async with world.governor() as governor:
        await asyncio.gather(*(world.request(governor, tokens(1, 1)) for _ in range(50)))
    assert {event.status for event in await world.events(50)} == {Status.OK}
    assert list(world.spool.iterdir()) == []


class TestWhileRedisIsAway:
    async def test_requests_are_refused_and_their_events_come_later(self, world: World):
        async with world.governor() as governor:
            await world.request(governor, tokens(1, 1))
            await world.kill()
            for _ in range(3):
                with pytest.raises(QuotaUnavailable):
                    await world.request(governor, tokens(1, 1))
            await world.start()
            events = await world.events(4)
        assert sorted(event.status for event in events) == [Status.OK] + [Status.REFUSED] * 3
        assert {event.reason for event in events} == {None, "quota_unavailable"}

    async def test_an_allowance_lets_some_through_and_their_usage_comes_later(self, world: World):
        world.directory = a_directory(ALLOW)
        async with world.governor() as governor:
            await world.kill()
            for _ in range(3):
                await world.request(governor, tokens(3, 4))
            with pytest.raises(QuotaRequests, match="limited to 3 requests a minute"):
                await world.request(governor, tokens(3, 4))
            assert world.metrics.allowed._value.get() == 3
            await world.start()
            events = await world.events(4)
        assert sorted(event.status for event in events) == [Status.OK] * 3 + [Status.REFUSED]
        assert sum(event.completion_tokens for event in events) == 12

    async def test_what_began_before_ends_after(self, world: World):
        world.directory = a_directory(limits=Limits(concurrent_requests=2))
        async with world.governor() as governor:
            record = a_record()
            async with reserve(governor, world.directory, a_principal(), an_ask(), record):
                await world.kill()
                with pytest.raises(QuotaUnavailable):
                    await world.request(governor, tokens(1, 1))
                record.saw(tokens(5, 6))
            await world.start()
            events = await world.events(2)
            assert {event.status for event in events} == {Status.OK, Status.REFUSED}
            assert await world.left() == []

    async def test_what_began_meanwhile_ends_when_it_is_back(self, world: World):
        world.directory = a_directory(ALLOW)
        async with world.governor() as governor:
            await world.kill()
            record = a_record()
            async with reserve(governor, world.directory, a_principal(), an_ask(), record):
                await world.request(governor, tokens(1, 1))
                await world.start()
                assert [event.completion_tokens for event in await world.events(1)] == [1]
                record.saw(tokens(5, 6))
            (event,) = await world.events(1)
            assert (event.status, event.completion_tokens) == (Status.OK, 6)
        assert list(world.spool.iterdir()) == []

    async def test_a_process_that_never_had_a_redis_leaves_its_usage_to_the_next(
        self, empty_world: World
    ):
        world = empty_world
        world.directory = a_directory(ALLOW)
        async with world.governor() as governor:
            await world.request(governor, tokens(3, 4))
        assert len(list(world.spool.iterdir())) == 1
        await world.start()
        async with world.governor():
            (event,) = await world.events(1)
        assert (event.status, event.completion_tokens) == (Status.OK, 4)
        assert list(world.spool.iterdir()) == []

    async def test_a_redis_that_answers_with_errors_is_away_for_one_request(self, world: World):
        async with connect(world.settings) as redis, world.governor() as governor:
            await world.request(governor, tokens(1, 1))
            await world.events(1)
            await redis.config_set("maxmemory", "1")
            with pytest.raises(QuotaUnavailable):
                await world.request(governor, tokens(1, 1))
            await redis.config_set("maxmemory", "0")
            await world.request(governor, tokens(1, 1))
            events = await world.events(2)
        assert {event.status for event in events} == {Status.OK, Status.REFUSED}

    async def test_a_redis_that_hangs_costs_one_timeout(self, world: World):
        async with connect(world.settings) as redis, world.governor(timeout_s=0.2) as governor:
            await redis.client_pause(600)
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            for _ in range(20):
                with pytest.raises(QuotaUnavailable):
                    await world.request(governor, tokens(1, 1))
            assert loop.time() - began_s < 20 * 0.2 / 2
            events = await world.events(20)
        assert {event.status for event in events} == {Status.REFUSED}
        assert await world.left() == []

    async def test_usage_that_redis_refuses_keeps_back_no_other(self, world: World):
        world.directory = a_directory(ALLOW)
        async with connect(world.settings) as redis, world.governor() as governor:
            await world.kill()
            for endpoint in ("chat", "completions"):
                await world.request(governor, tokens(1, 1), a_record(endpoint))
            await world.start()
            await world.events(2)
            stream = f"conch:{{{shard_tag('acme')}}}:usage"
            await redis.delete(stream)
            await redis.set(stream, "not a stream")
            await world.request(governor, tokens(1, 1))
            await redis.delete(stream)
            assert [event.status for event in await world.events(1)] == [Status.OK]
        assert list(world.spool.iterdir()) == []
