"""Sequences of the real engine that are stopped and go on: without a gap, and without a repeat."""

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path
from random import Random

import psutil
import pytest
from queue_world import Told, World, policy_of, until, use

from serving.bls.language import Language
from serving.bls.scheduling.fairness import jain
from serving.contract.calls import Call, FinishReason, Guide, Sampling, SequenceState
from serving.contract.errors import Cancelled, EngineFailed

log = logging.getLogger(__name__)
MODEL = Path(__file__).parents[2] / "model_repository/demo_engine/1/model"
IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
RESTARTS = 8 if IS_FULL else 1
TOKENS = 200
TRIES = 10
GREEDY = Sampling(temperature=0.0, max_tokens=TOKENS, min_tokens=TOKENS)
NATURAL = Sampling(temperature=0.0, max_tokens=400)
HELLO = ({"role": "user", "content": "hello"},)
COUNT = ({"role": "user", "content": "Count to 100"},)
PERSON = Call(messages=HELLO, sampling=Sampling(temperature=0.0, max_tokens=8))
AGENT = Call(messages=COUNT, sampling=GREEDY, priority="agent", is_streamed=True)
PERSON = replace(PERSON, priority="interactive", is_streamed=True)
STOPPED = [SequenceState.WAITING, SequenceState.RUNNING]


@pytest.fixture(scope="module")
def language():
    return Language.load(MODEL)


@pytest.fixture
async def world_of(stack, language, monkeypatch):
    use(monkeypatch, stack)
    worlds = []

    def make(places, **policy):
        worlds.append(World(language, policy_of(places, **policy)))
        return worlds[-1]

    yield make
    for world in worlds:
        await world.close()


async def disturbed(world, call, *, after=20):
    """An answer in whose middle an interactive request wants its place.

    On a busy machine tokens come many at a time, and the last may be under way already: then again.
    """
    for _ in range(TRIES):
        told = await disturbed_once(world, call, after)
        if told.states:
            break
    return told


async def disturbed_once(world, call, after):
    task, told = world.start(call)
    await until(lambda: task.done() or any(turn.entry.made >= after for turn in world.turns))
    await world.alone(PERSON)
    await task
    assert told.error is None, told.error
    return told


async def test_an_agent_that_made_room_says_what_it_would_have_said(world_of):
    world = world_of(1)
    whole = await world.alone(AGENT)
    told = await disturbed(world, AGENT)
    assert told.states == STOPPED
    assert told.text == whole.text
    assert (told.last.usage, told.last.finish_reason) == (whole.last.usage, FinishReason.LENGTH)
    assert told.last.timings.queue_ms > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"guide": Guide("json")},
        {"sampling": replace(GREEDY, temperature=0.8, seed=3)},
        {"sampling": replace(GREEDY, presence_penalty=0.5)},
        {"sampling": replace(GREEDY, frequency_penalty=0.5)},
    ],
    ids=["grammar", "seed", "presence", "frequency"],
)
async def test_what_would_start_anew_is_not_stopped_after_its_first_token(world_of, changes):
    world = world_of(1)
    call = replace(AGENT, **changes)
    whole = await world.alone(call)
    told = await disturbed_once(world, call, after=1)
    assert (told.states, told.text) == ([], whole.text)
    assert world.turns.scheduler.counts.preemptions == 0


async def test_what_would_start_anew_is_stopped_before_its_first_token(world_of):
    world = world_of(1)
    call = replace(AGENT, sampling=replace(GREEDY, temperature=0.8, seed=3))
    whole = await world.alone(call)
    task, _ = world.start(call)
    await until(lambda: world.turns.running == 1)
    await world.alone(PERSON)
    assert (await task).text == whole.text
    assert world.turns.scheduler.counts.preemptions in (0, 1)  # the first token may win the race


@pytest.mark.parametrize(
    "sampling",
    [
        replace(GREEDY, temperature=0.7),
        replace(GREEDY, temperature=0.7, top_k=5),
        replace(GREEDY, repetition_penalty=1.1),
        replace(GREEDY, seed=3),
    ],
    ids=["sampled", "top-k", "repetition", "greedy with a seed"],
)
async def test_other_sampling_goes_on_to_the_last_token(world_of, sampling):
    told = await disturbed(world_of(1), replace(AGENT, sampling=sampling))
    assert told.states == STOPPED
    assert told.last.usage.completion_tokens == TOKENS


async def test_least_and_most_tokens_count_across_the_seam(world_of):
    sampling = Sampling(temperature=0.0, max_tokens=160, min_tokens=150)
    told = await disturbed(world_of(1), replace(AGENT, messages=HELLO, sampling=sampling))
    assert told.states == STOPPED
    # What it says once it would rather have ended is rounded at random.
    assert 150 <= told.last.usage.completion_tokens <= 160


async def test_logprobs_are_those_of_all_tokens(world_of):
    world = world_of(1)
    call = replace(AGENT, has_logprobs=True)
    whole, told = await world.alone(call), await disturbed(world, call)
    ids = [[t.token_id for chunk in one.chunks for t in chunk.logprobs] for one in (whole, told)]
    assert told.states == STOPPED
    assert ids[0] == ids[1]
    assert len(ids[1]) == TOKENS
    assert told.last.cum_logprob == pytest.approx(whole.last.cum_logprob, abs=0.5)


async def test_a_stop_string_is_seen_across_the_seam(world_of):
    world = world_of(1)
    text = (await world.alone(AGENT)).text
    for cut in range(40, 48):
        stop = text[cut : cut + 12]
        expected = text[: text.index(stop)]
        call = replace(AGENT, sampling=replace(GREEDY, min_tokens=None, stop=(stop,)))
        told = await disturbed_once(world, call, after=cut // 3)
        assert (told.text, told.last.finish_reason) == (expected, FinishReason.STOP)


async def test_each_of_several_sequences_is_stopped_by_itself(world_of):
    world = world_of(2)
    call = replace(AGENT, n=2, sampling=replace(GREEDY, temperature=0.7))
    told = await disturbed(world, call)
    assert told.states == STOPPED
    ends = [chunk for chunk in told.chunks if chunk.finish_reason is not None]
    assert [end.usage.completion_tokens for end in ends] == [TOKENS, TOKENS]


async def test_an_answer_that_is_sent_whole_goes_on_too(world_of):
    world = world_of(1)
    whole = await world.alone(AGENT)
    told = await disturbed(world, replace(AGENT, is_streamed=False))
    assert (told.states, told.text) == (STOPPED, whole.text)


async def test_a_deadline_runs_on_while_it_waits(world_of):
    world = world_of(1)
    task, told = world.start(replace(AGENT, deadline_ms=300))
    await until(lambda: world.turns.running == 1)
    world.turns.pause(list(world.turns))
    await task
    assert told.error.code == "expired"


async def test_answers_with_stops_differ_no_more_than_answers_in_a_batch(world_of, language):
    """Both are compared with answers alone: a batch alone changes how sums are rounded."""
    world = world_of(4)
    asked = ("Count to 100", "Count to 50", "please count to 100", "tell me a story", "hello")
    calls = [
        replace(AGENT, messages=({"role": "user", "content": text},), sampling=NATURAL)
        for text in asked * (10 if IS_FULL else 1)
    ]
    alone = [(await world.alone(call)).text for call in calls]
    batched = await asyncio.gather(*(world.alone(call) for call in calls))
    running = [world.start(call) for call in calls]
    random = Random(1)
    while not all(task.done() for task, _ in running):
        await world.alone(PERSON)
        await asyncio.sleep(random.random() * 0.02)
    told = [await task for task, _ in running]
    same = [
        sum(a == one.text for a, one in zip(alone, some, strict=True)) for some in (batched, told)
    ]
    log.info("as alone: batched %d, with stops %d of %d", *same, len(calls))
    assert world.turns.scheduler.counts.preemptions >= len(calls) // 4
    assert same[1] >= same[0] - 1  # of answers that are rounded at random anyway


async def test_tenants_with_unequal_demand_are_served_alike(world_of):
    world = world_of(4)
    call = replace(AGENT, sampling=replace(GREEDY, max_tokens=40, min_tokens=40))
    demand = {"one": 5, "two": 8, "three": 12, "four": 24}
    served = dict.fromkeys(demand, 0)

    async def asking(tenant):
        while True:
            await world.alone(call, tenant=tenant)
            served[tenant] += 1

    tasks = [asyncio.create_task(asking(t)) for t, count in demand.items() for _ in range(count)]
    await until(lambda: sum(served.values()) >= 100)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert jain(served.values()) >= 0.95, served
    assert (world.turns.running, world.turns.waiting) == (0, 0)


async def test_nothing_is_lost_repeated_or_stalled_whatever_happens(world_of, stack):
    """Random submits, cancels, pauses, hang-ups, and the engine's step loop killed in between."""
    world = world_of(6)
    requests = 2000 if IS_FULL else 120
    expected = {rank: (await world.alone(_soaked(rank))).text for rank in range(4)}
    random, tasks = Random(5), []
    for number in range(requests):
        rank = random.randrange(4)
        tasks.append((rank, *world.start(_soaked(rank), tenant=f"t{random.randrange(3)}")))
        await asyncio.sleep(random.random() * 0.02)
        _disturb(world, random, [task for _, task, _ in tasks if not task.done()])
        if number % (requests // RESTARTS) == requests // RESTARTS // 2:
            _kill_step_loop(stack)
            await _answering(world)
    world.turns.resume(list(world.turns))
    async with asyncio.timeout(120 if IS_FULL else 60):
        await asyncio.gather(*(task for _, task, _ in tasks), return_exceptions=True)
    assert (world.turns.running, world.turns.waiting) == (0, 0)
    ends = [_ending(expected[rank], task, told) for rank, task, told in tasks]
    counts = {end: ends.count(end) for end in set(ends)}
    log.info("%s, %s", counts, world.turns.scheduler.counts)
    assert counts.keys() <= {"whole", "rounded", "cancelled", "hung up", "engine failed"}
    assert counts["whole"] > requests // 3
    assert counts.get("rounded", 0) <= requests // 50


CLASSES = ("interactive", "standard", "agent", "batch")


def _soaked(rank):
    tokens = 30 + 30 * rank
    sampling = Sampling(temperature=0.0, max_tokens=tokens, min_tokens=tokens)
    return replace(AGENT, sampling=sampling, priority=CLASSES[rank])


def _disturb(world, random, alive):
    turns = list(world.turns)
    match random.randrange(12):
        case 0 if alive:
            random.choice(alive).cancel()
        case 1 if turns:
            world.turns.cancel([random.choice(turns)])
        case 2 | 3 if turns:
            world.turns.pause([random.choice(turns)])
        case 4 | 5 | 6:
            world.turns.resume(turns)


def _kill_step_loop(stack):
    triton = psutil.Process(stack.pid_of("triton"))
    loops = [p for p in triton.children(recursive=True) if "serving.engines.worker" in p.cmdline()]
    assert loops
    for loop in loops:
        loop.kill()


async def _answering(world):
    async with asyncio.timeout(30):
        while (await world.ask(PERSON, told=Told())).error is not None:
            await asyncio.sleep(0.05)


def _ending(expected, task, told):
    if task.cancelled():
        assert expected.startswith(told.text)
        return "hung up"
    if isinstance(told.error, Cancelled):
        return "cancelled"
    if isinstance(told.error, EngineFailed):
        return "engine failed"
    assert told.error is None, told.error
    assert told.last.finish_reason is FinishReason.LENGTH
    return "whole" if told.text == expected else "rounded"
