"""However often an answer is stopped and goes on, it is token for token what it would have been.

The engine here is one whose next token is a function of all tokens so far, as that of a greedy
model is: what differs can only come from the seams.
"""

import asyncio
import logging
import os
import random
import time
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count, pairwise

import numpy as np
import pytest
from queues import queue_of
from streams import response

from serving.bls.engine import Engine
from serving.bls.grants import Gate
from serving.bls.language import Language
from serving.bls.pipeline import Model, answer
from serving.contract.calls import Call, Sampling, SequenceState
from serving.contract.grant import Grant, sign

IS_FULL = os.environ.get("CONCH_TEST_SCALE") == "full"
SECONDS = 60.0 if IS_FULL else 2.5
LEAST_SCHEDULES = 100  # on a slow machine; an idle one gets to ten times as many
SCHEDULES_A_CALL = 8
KEY = b"k" * 32
log = logging.getLogger(__name__)
WORDS = "the sea is wide and the boats go far é ñ 🌊 海"
VISITOR = (20,)
ids_of_requests = count(1)


@pytest.fixture(scope="module")
def language(demo_model):
    return Language.load(demo_model)


class HashEngine:
    """`infer` of an engine that says a hash of what it has read, in few words."""

    def __init__(self, language, chance):
        self.words = sorted(set(language.tokenizer.encode(WORDS)))
        self.end_id = language.end_ids[0]
        self.chance = chance
        self.open = 0
        self.prompts = Counter()

    async def __call__(self, model, arrays, outputs, *, request_id):
        if "stop" in arrays:
            return
        self.open += 1
        self.prompts[arrays["input_lengths"].item()] += 1
        try:
            async for made in self.run(arrays):
                yield made
        finally:
            self.open -= 1

    async def run(self, arrays):
        """A response after a few turns of the loop; whole answers all at once."""
        has_logprobs = "return_log_probs" in arrays
        tokens, logprobs = [], []
        is_streamed = arrays["streaming"].item()
        for token, hashed, is_last in self.answer(arrays):
            tokens.append(token)
            logprobs.append(-(hashed % 64) / 8)
            # How many tokens come at a time is a function of them too: what is counted behind a
            # stop string is the rest of its response.
            if is_last or (is_streamed and hashed % 5 < 4):
                for _ in range(self.chance.randrange(3)):
                    await asyncio.sleep(0)
                scores = logprobs if has_logprobs else ()
                yield response(tokens, logprobs=scores, is_last=is_last)
                tokens, logprobs = [], []

    def answer(self, arrays):
        hashed = zlib.crc32(arrays["input_ids"].astype(np.int32).tobytes())
        length = arrays["request_output_len"].item()
        least = arrays["min_tokens"].item() if "min_tokens" in arrays else 0
        for made in range(length):
            token = self.next_of(hashed, may_end=made >= least)
            is_last = token == self.end_id or made == length - 1
            yield token, hashed, is_last
            if is_last:
                return
            hashed = zlib.crc32(np.int32(token).tobytes(), hashed)

    def next_of(self, hashed, *, may_end):
        number = hashed * 2654435761 >> 7
        if may_end and number % 41 == 0:
            return self.end_id
        return self.words[number // 41 % len(self.words)]


@dataclass(frozen=True)
class Said:
    """All that a client can see of a sequence, put together."""

    text: str
    logprobs: tuple
    cum_logprob: float | None
    finish_reason: str
    usage: object


def said(chunks, index):
    mine = [chunk for chunk in chunks if chunk.index == index]
    assert [chunk.finish_reason for chunk in mine[:-1]] == [None] * (len(mine) - 1)
    return Said(
        "".join(chunk.text for chunk in mine),
        tuple(scored for chunk in mine for scored in chunk.logprobs),
        mine[-1].cum_logprob,
        mine[-1].finish_reason,
        mine[-1].usage,
    )


def model_of(language, chance, **more):
    return Model(
        Gate("m", KEY), language, queue_of(**more), Engine("m_engine", HashEngine(language, chance))
    )


def granted(call, request_id, *, ceiling="interactive"):
    grant = Grant(request_id, "m", "team", expires_at=time.time() + 60, class_ceiling=ceiling)
    return replace(call, grant=sign(grant, KEY))


async def answered(model, call):
    chunks = []
    request_id = f"r-{next(ids_of_requests)}"
    await answer(model, granted(call, request_id), request_id, chunks.append)
    return chunks


async def expected(language, call):
    """What it says in an engine of its own, where nobody disturbs it."""
    model = model_of(language, random.Random(0), places=call.n)
    chunks = await answered(model, call)
    assert model.queue.turns.scheduler.counts.resumes == 0
    return [said(chunks, index) for index in range(call.n)]


async def random_call(language, chance):
    """One of those that can be resumed, often with a stop string out of what it would say."""
    words = language.tokenizer.encode(WORDS)
    sampling = Sampling(
        max_tokens=chance.randint(2, 60),
        min_tokens=chance.choice([None, None, 1, 10, 30]),
        temperature=chance.choice([0.0, 0.8]),
        repetition_penalty=chance.choice([None, 1.1]),
    )
    call = Call(
        input_ids=tuple(chance.choices(words, k=chance.randint(1, 12))),
        priority=chance.choice(["standard", "agent", "batch"]),
        sampling=sampling,
        n=chance.choice([1, 1, 2]),
        is_streamed=chance.random() < 0.7,
        has_logprobs=chance.random() < 0.5,
    )
    if chance.random() < 0.5:
        return call
    text = (await expected(language, call))[0].text
    begin = chance.randrange(len(text) + 1)
    stop = text[begin : begin + chance.randint(1, 12)]
    return replace(call, sampling=replace(sampling, stop=(stop,))) if stop else call


class Disturber:
    """Stops and pauses others at random, and lets them all go on in the end."""

    def __init__(self, model, chance):
        self.model = model
        self.turns = model.queue.turns
        self.chance = chance
        self.visits = []

    async def disturb(self):
        acts = [self.visit, self.visit, self.visit, self.pause, self.resume, self.resume]
        acts += [self.pause_class, self.resume_class, self.resume_class]
        for _ in range(self.chance.randint(4, 24)):
            for _ in range(self.chance.randrange(6)):
                await asyncio.sleep(0)
            self.chance.choice(acts)()
        for rank in range(4):
            self.turns.resume_class(rank)
        self.turns.resume(list(self.turns))
        await asyncio.gather(*self.visits)

    def visit(self):
        """An interactive request, which has others stopped for it."""
        sampling = Sampling(max_tokens=self.chance.randint(1, 3))
        call = Call(input_ids=VISITOR, priority="interactive", sampling=sampling)
        self.visits.append(asyncio.create_task(answered(self.model, call)))

    def pause(self):
        self.turns.pause(self.some())

    def resume(self):
        self.turns.resume(self.some())

    def some(self):
        return [turn for turn in self.turns if self.chance.random() < 0.5]

    def pause_class(self):
        self.turns.pause_class(self.chance.randrange(1, 4))

    def resume_class(self):
        self.turns.resume_class(self.chance.randrange(1, 4))


async def disturbed(language, calls, chance):
    """The calls in one small engine, with all that can happen to them: what they said, and how
    often one went on in the middle of its answer.
    """
    model = model_of(language, chance, places=chance.randint(1, 3), max_waiting=99)
    tasks = [asyncio.create_task(answered(model, call)) for call in calls]
    async with asyncio.timeout(20):
        await Disturber(model, chance).disturb()
        chunks = await asyncio.gather(*tasks)
    turns, engine = model.queue.turns, model.engine._infer
    assert (turns.running, turns.waiting, engine.open) == (0, 0, 0)
    whole = {len(call.input_ids) for call in calls} | {len(VISITOR)}
    return chunks, sum(times for length, times in engine.prompts.items() if length not in whole)


def assert_states_alternate(chunks, index):
    """To whom it was said that it stopped, it was said that it goes on."""
    states = [chunk.state for chunk in chunks if chunk.index == index and chunk.state is not None]
    assert all(one is not other for one, other in pairwise(states))
    assert not states or states[-1] is SequenceState.RUNNING


async def test_an_answer_that_was_stopped_is_the_same_token_for_token(language):
    chance = random.Random(20)
    done, seams, ends_s = 0, 0, time.monotonic() + SECONDS
    while done < LEAST_SCHEDULES or time.monotonic() < ends_s:
        calls = [await random_call(language, chance) for _ in range(2)]
        wanted = [await expected(language, call) for call in calls]
        for _ in range(SCHEDULES_A_CALL):
            seed = chance.randrange(1 << 32)
            all_chunks, cuts = await disturbed(language, calls, random.Random(seed))
            for call, chunks, want in zip(calls, all_chunks, wanted, strict=True):
                assert [said(chunks, index) for index in range(call.n)] == want, (seed, call)
                for index in range(call.n):
                    assert_states_alternate(chunks, index)
            done += 1
            seams += cuts
    assert seams > done


async def test_a_stop_string_is_found_wherever_it_is_cut(language):
    """One seam after each token in turn."""
    chance = random.Random(1)
    call = Call(
        input_ids=(20, 30),
        priority="agent",
        is_streamed=True,
        has_logprobs=True,
        sampling=Sampling(max_tokens=24, min_tokens=24),
    )
    text = (await expected(language, call))[0].text
    call = replace(call, sampling=replace(call.sampling, stop=(text[20:32],)))
    want = await expected(language, call)
    assert want[0].text == text[: text.index(text[20:32])]
    for place in range(want[0].usage.completion_tokens):
        chunks = await cut_at(language, call, place, chance)
        assert [said(chunks, 0)] == want


async def cut_at(language, call, place, chance):
    """The call, paused once it has given so many tokens, and resumed."""
    model = model_of(language, chance, places=1)
    task = asyncio.create_task(answered(model, call))
    turns = model.queue.turns
    while not task.done():
        turn = next(iter(turns), None)
        if turn is not None and turn.entry.made >= place:
            turns.pause([turn])
            break
        await asyncio.sleep(0)
    while not task.done() and turns.scheduler.room.entries:
        await asyncio.sleep(0)
    turns.resume(list(turns))
    return await task
