"""What clients say of scheduling, by headers and by OpenAI's service tier."""

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from structlog.testing import capture_logs
from told_triton import LAST, World, world_of

from gateway.stages.auth import ALONE
from gateway.stages.priority import unsigned
from serving.contract.calls import Call, Timeouts
from serving.contract.grant import CLASSES

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    # As if what it asks for were signed, so that all classes are there to be had.
    monkeypatch.setattr("gateway.pipeline.unsigned", lambda classes: classes)
    async with world_of() as world:
        yield world


async def called(world: World, **body: str | bool) -> Call:
    """What reaches Triton of a request, which is answered."""
    world.triton.tell(LAST)
    async with world.client(**body) as client:
        await client.until(b"[DONE]")
    assert client.headers["x-conch-priority"] == (world.triton.calls[-1].priority or "standard")
    return world.triton.calls[-1]


async def refused(world: World, **body: str) -> dict[str, str]:
    async with world.client(**body) as client:
        error: dict[str, str] = orjson.loads(await client.piece())["error"]
    assert client.status == 400
    return error


async def test_a_session_that_is_too_long_is_refused(world: World):
    assert (await called(world, x_session_id="s" * 256)).session is not None
    error = await refused(world, x_session_id="s" * 257)
    assert (error["param"], error["code"]) == ("X-Session-Id", "invalid_request")


@pytest.mark.parametrize("name", CLASSES)
async def test_the_header_names_the_class(world: World, name: str):
    assert (await called(world, x_priority=name)).priority == name


@pytest.mark.parametrize(
    ("tier", "priority"),
    [
        ("priority", "interactive"),
        ("flex", "batch"),
        ("auto", None),
        ("default", None),
        ("scale", None),
    ],
)
async def test_a_tier_stands_for_a_class(world: World, tier: str, priority: str | None):
    assert (await called(world, service_tier=tier)).priority == priority


async def test_the_header_wins_over_the_tier(world: World):
    assert (await called(world, service_tier="priority", x_priority="agent")).priority == "agent"


async def test_nothing_said_is_nothing_asked_for(world: World):
    call = await called(world)
    assert (call.priority, call.session, call.timeouts) == (None, None, Timeouts())
    assert call.deadline_ms is None


async def test_who_may_not_use_a_class_is_told_which_it_got(world: World):
    world.known.principal = replace(ALONE, classes=("agent", "batch"))
    assert (await called(world, x_priority="interactive")).priority == "agent"
    assert (await called(world)).priority == "agent"


async def test_without_grants_nobody_is_above_standard(world: World, monkeypatch):
    monkeypatch.setattr("gateway.pipeline.unsigned", unsigned)
    assert (await called(world, x_priority="interactive")).priority == "standard"
    assert (await called(world, x_priority="batch")).priority == "batch"


async def test_the_class_is_in_the_log(world: World):
    with capture_logs() as logs:
        await called(world, x_priority="agent")
    (ended,) = [entry for entry in logs if entry["event"] == "request_ended"]
    assert ended["priority"] == "agent"


async def test_unknown_words_are_refused_with_those_there_are(world: World):
    error = await refused(world, x_priority="urgent")
    assert (error["code"], error["param"]) == ("invalid_request", "X-Priority")
    assert "'urgent'" in error["message"]
    assert all(name in error["message"] for name in CLASSES)
    error = await refused(world, service_tier="interactive")
    assert (error["code"], error["param"]) == ("invalid_request", "service_tier")
    assert all(name in error["message"] for name in ("auto", "default", "flex", "priority"))
    assert world.triton.calls == []


async def test_times_reach_the_call(world: World):
    call = await called(
        world,
        x_timeout_ms="1000",
        x_ttft_timeout_ms="200",
        x_idle_timeout_ms="30",
        x_deadline_ms="4000",
    )
    assert (call.timeouts, call.deadline_ms) == (Timeouts(1000, 200, 30), 4000)


@pytest.mark.parametrize(
    "header", ["X-Timeout-Ms", "X-TTFT-Timeout-Ms", "X-Idle-Timeout-Ms", "X-Deadline-Ms"]
)
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "soon", "²", str(2**31), "9" * 5000])
async def test_a_time_that_is_none_is_refused_by_its_header(world: World, header: str, value: str):
    error = await refused(world, **{header.lower().replace("-", "_"): value})
    assert (error["code"], error["param"]) == ("invalid_request", header)
    assert f"'{header}' is " in error["message"]
    assert len(error["message"]) < 200


async def test_all_prompts_of_a_request_have_the_same(world: World):
    world.triton.tell(LAST, LAST)
    async with world.client(prompt=["a", "b"], x_priority="batch", x_session_id="s") as client:
        await client.until(b"[DONE]")
    assert [call.priority for call in world.triton.calls] == ["batch"] * 2
    assert {call.session for call in world.triton.calls} == {"default/default/s"}


@pytest.mark.parametrize(
    ("priority", "tier"),
    [("interactive", "priority"), ("standard", "default"), ("agent", "flex"), ("batch", "flex")],
)
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_who_asks_for_a_tier_is_told_the_one_that_is_used(
    world: World, priority: str, tier: str, is_streamed: bool
):
    world.triton.tell(LAST)
    body = {"messages": HELLO, "service_tier": "auto", "stream": is_streamed}
    async with world.client(**body, x_priority=priority) as client:
        data = await client.piece()
    kind = ChatCompletionChunk if is_streamed else ChatCompletion
    first = data.partition(b"\n\n")[0].removeprefix(b"data: ")
    assert kind.model_validate_json(first).service_tier == tier


async def test_who_asks_for_none_is_told_none(world: World):
    world.triton.tell(LAST)
    async with world.client(x_priority="agent", messages=HELLO) as client:
        assert b"service_tier" not in await client.until(b"[DONE]")
