"""A request that is preempted or paused: its clock stands still, and its stream stays open."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
from told_triton import LAST, PAUSED, RUNNING, WAITING, World, until, world_of

from serving.contract.calls import Chunk, SequenceState, Usage
from serving.contract.errors import EngineFailed, QueueFull

TIMEOUT_S, CAP_S, COMMENT_S = 0.3, 0.9, 0.05
LONG_S = 0.5  # more than a request may run
HELLO = [{"role": "user", "content": "hello"}]
A = Chunk(text="a", usage=Usage(3, 1))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    limits = {"request_timeout_s": TIMEOUT_S, "paused_timeout_s": CAP_S}
    async with world_of(sse_comment_s=COMMENT_S, **limits) as world:
        yield world


@pytest.fixture
async def quiet() -> AsyncIterator[World]:
    """No comment comes while a test looks."""
    async with world_of(request_timeout_s=TIMEOUT_S, paused_timeout_s=CAP_S) as world:
        yield world


def error_of(data: bytes) -> dict[str, str]:
    last = data.rstrip().split(b"\n\n")[-1]
    return orjson.loads(last.removeprefix(b"data: "))["error"]


@pytest.mark.parametrize("body", [{}, {"messages": HELLO}])
async def test_news_of_a_state_is_no_event(quiet: World, body):
    async with quiet.client(**body) as client:
        quiet.triton.tell(PAUSED, RUNNING, A, WAITING, RUNNING, LAST)
        data = await client.until(b"[DONE]")
    texts = [orjson.loads(e[6:])["choices"][0] for e in data.split(b"\n\n")[:-2]]
    said = [c.get("text") or c["delta"].get("content") or "" for c in texts]
    assert "".join(said) == "az"
    assert data.startswith(b"data: ")
    if "messages" in body:
        assert texts[0]["delta"] == {"role": "assistant", "content": ""}
        assert len(texts) == 4  # the role, two texts, the reason


async def test_news_with_text_is_text_too(quiet: World):
    async with quiet.client() as client:
        quiet.triton.tell(replace(A, state=SequenceState.WAITING), RUNNING, LAST)
        assert b'"text":"a"' in await client.until(b"[DONE]")


async def test_a_whole_answer_is_not_touched_by_news(quiet: World):
    async with quiet.client(stream=False) as client:
        quiet.triton.tell(PAUSED, RUNNING, WAITING)
        quiet.triton.tell(RUNNING, replace(LAST, text="az"))
        answer = orjson.loads(await client.piece())
    assert answer["choices"][0]["text"] == "az"
    assert answer["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("news", [PAUSED, WAITING])
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_the_time_of_a_request_stands_still_while_it_does_not_run(
    quiet: World, news: Chunk, is_streamed: bool
):
    async with quiet.client(stream=is_streamed) as client:
        quiet.triton.tell(news)
        await asyncio.sleep(LONG_S)
        quiet.triton.tell(RUNNING, LAST)
        assert b'"finish_reason":"stop"' in await client.piece()


async def test_the_rest_of_its_time_goes_on_when_it_runs_again(quiet: World):
    async with quiet.client() as client:
        quiet.triton.tell(A, PAUSED)
        await asyncio.sleep(LONG_S)
        quiet.triton.tell(RUNNING)
        error = error_of(await client.until(b"error"))
    assert (error["code"], "longer than 0.3 s" in error["message"]) == ("expired", True)


async def test_pauses_have_a_limit_of_their_own_all_together(quiet: World):
    async with quiet.client() as client:
        quiet.triton.tell(A, PAUSED)
        await asyncio.sleep(CAP_S / 2)
        quiet.triton.tell(RUNNING, WAITING)
        await asyncio.sleep(CAP_S / 4)
        assert quiet.triton.is_open
        error = error_of(await client.until(b"error"))
    assert error["code"] == "expired"
    assert "paused for longer than 0.9 s" in error["message"]


async def test_one_sequence_that_runs_keeps_the_clock_going(quiet: World):
    async with quiet.client(n=2) as client:
        quiet.triton.tell(A, replace(A, index=1), PAUSED)
        error = error_of(await client.until(b"error"))
    assert "longer than 0.3 s" in error["message"]


async def test_the_last_that_is_left_is_paused_alone(quiet: World):
    async with quiet.client(n=2) as client:
        quiet.triton.tell(A, replace(A, index=1), PAUSED, replace(LAST, index=1))
        await asyncio.sleep(LONG_S)
        quiet.triton.tell(RUNNING, LAST)
        assert b"error" not in await client.until(b"[DONE]")


@pytest.mark.parametrize(
    ("news", "comment"), [(PAUSED, b": paused\n\n"), (WAITING, b": waiting\n\n")]
)
async def test_a_silent_stream_has_comments(world: World, news: Chunk, comment: bytes):
    async with world.client() as client:
        world.triton.tell(A, news)
        assert b'"text":"a"' in await client.piece()
        assert [await client.piece() for _ in range(3)] == [comment] * 3
        world.triton.tell(RUNNING, LAST)
        rest = await client.until(b"[DONE]")
    assert rest.removeprefix(comment).startswith(b"data: ")


async def test_a_stream_that_is_slow_has_comments_too(world: World):
    async with world.client() as client:
        world.triton.tell(A)
        await client.piece()
        assert await client.piece() == b": waiting\n\n"
        world.triton.tell(LAST)
        await client.until(b"[DONE]")


async def test_a_stream_that_flows_has_none(world: World):
    async with world.client() as client:
        for _ in range(20):
            world.triton.tell(A)
            await asyncio.sleep(COMMENT_S / 5)
        world.triton.tell(LAST)
        data = await client.until(b"[DONE]")
    assert b": waiting" not in data


async def test_one_that_is_paused_before_its_first_event_opens_its_stream(world: World):
    async with world.client() as client:
        world.triton.tell(PAUSED)
        assert await client.piece() == b": paused\n\n"
        assert (client.status, client.headers["content-type"][:17]) == (200, "text/event-stream")
        world.triton.tell(RUNNING, LAST)
        assert b'"text":"z"' in await client.until(b"[DONE]")


async def test_what_breaks_an_open_stream_is_an_event_of_it(world: World):
    async with world.client() as client:
        world.triton.tell(PAUSED)
        await client.piece()
        world.triton.tell(EngineFailed("it broke"))
        error = error_of(await client.until(b"error"))
    assert (client.status, error["code"]) == (200, "engine_failed")


async def test_one_that_waits_in_line_can_still_be_refused_by_status(world: World):
    refused = QueueFull("too many wait")
    refused.retry_after_s = 2.3
    async with world.client() as client:
        await asyncio.sleep(4 * COMMENT_S)
        assert (client.status, client.has_more) == (0, False)
        world.triton.tell(refused)
        error = error_of(await client.piece())
    assert (client.status, error["code"]) == (503, "queue_full")
    assert (client.headers["retry-after"], client.headers["retry-after-ms"]) == ("3", "2300")


async def test_hanging_up_in_a_pause_ends_the_request(world: World):
    async with world.client() as client:
        world.triton.tell(A, PAUSED)
        await client.until(b": paused")
        client.hang_up()
        await until(lambda: not world.triton.is_open)
    assert world.sample("cancelled_total", model="demo") == 1


async def test_a_client_that_does_not_read_gets_no_pile_of_comments(world: World):
    async with world.client() as slow:
        world.triton.tell(A, PAUSED)
        await slow.until(b": paused")
        slow.stop_reading()
        await asyncio.sleep(6 * COMMENT_S)
        world.triton.tell(RUNNING, A, LAST)
        await asyncio.sleep(COMMENT_S)
        slow.read_on()
        data = await slow.until(b"[DONE]")
    assert data.count(b": ") - data.count(b"data: ") <= 1
    assert data.index(b'"text":"a"') < data.index(b'"text":"z"') < data.index(b"[DONE]")


@pytest.mark.parametrize("is_paused", [True, False])
async def test_a_client_that_does_not_read_holds_nothing_for_ever(world: World, is_paused: bool):
    async with world.client() as slow:
        world.triton.tell(A)
        await slow.piece()
        slow.stop_reading()
        world.triton.tell(PAUSED if is_paused else A)
        await until(lambda: not world.triton.is_open)
        assert not slow.has_more


async def test_a_pause_is_neither_a_first_token_nor_between_tokens(quiet: World):
    async with quiet.client() as client:
        quiet.triton.tell(PAUSED)
        await asyncio.sleep(TIMEOUT_S)
        assert quiet.sample("time_to_first_token_seconds_count", model="demo") == 0
        quiet.triton.tell(RUNNING, A, WAITING)
        await client.piece()
        await asyncio.sleep(TIMEOUT_S)
        quiet.triton.tell(RUNNING, LAST)
        await client.until(b"[DONE]")
    assert quiet.sample("time_to_first_token_seconds_count", model="demo") == 1
    assert quiet.sample("time_to_first_token_seconds_sum", model="demo") > TIMEOUT_S / 2
    assert quiet.sample("inter_token_seconds_count", model="demo") == 1
    assert quiet.sample("inter_token_seconds_sum", model="demo") < TIMEOUT_S / 2
