"""One request from its call to its last chunk: whatever ends it, nothing of it is left."""

import asyncio
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lora_engine import World, adapter
from queues import queue_of
from streams import ScriptedEngine, response, saying, until_stopped

from serving.bls.adapter_choice import Adapters
from serving.bls.engine import Engine
from serving.bls.grants import Gate
from serving.bls.language import Language
from serving.bls.pipeline import Model, answer
from serving.contract.calls import Call, FinishReason, Sampling, Usage
from serving.contract.errors import (
    BadGrant,
    EngineFailed,
    Expired,
    InvalidRequest,
    PromptTooLong,
    QueueFull,
    UnsupportedParameter,
)
from serving.contract.grant import Grant, sign
from serving.contract.wire import single

KEY = b"k" * 32


@pytest.fixture(scope="session")
def language(demo_model):
    return Language.load(demo_model)


@pytest.fixture
def ids(language):
    return [*language.tokenizer.encode("the sea is wide"), language.end_ids[0]]


def model_of(language, script, *, places=8, max_waiting=8):
    infer = ScriptedEngine(script)
    queue = queue_of(places, max_waiting=max_waiting)
    return Model(Gate("m", KEY), language, queue, Engine("m_engine", infer)), infer


def assert_free(model, infer):
    assert (model.queue.turns.running, model.queue.turns.waiting) == (0, 0)
    assert infer.open == {}


async def answered(model, call):
    chunks = []
    await answer(model, call, "r-1", chunks.append)
    return chunks


def text_of(chunks, index=0):
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_call_is_answered(language, ids, is_streamed):
    model, infer = model_of(language, saying(ids))
    chunks = await answered(model, Call(text="p", is_streamed=is_streamed))
    assert text_of(chunks) == "the sea is wide"
    last = chunks[-1]
    assert (last.finish_reason, last.usage.completion_tokens) == (FinishReason.STOP, len(ids))
    assert last.timings.decode_ms == 1.0
    assert_free(model, infer)


async def test_the_engine_is_asked_for_what_the_call_says(language, ids):
    seen = []

    def script(stream):
        seen.append(stream.arrays)
        yield from saying(ids)(stream)

    model, _ = model_of(language, script)
    sampling = Sampling(max_tokens=9, temperature=0.5, top_k=3, seed=2**64 - 1, min_tokens=2)
    call = Call(text="p", n=2, sampling=sampling, is_streamed=True, has_logprobs=True)
    await answered(model, call)
    first = seen[0]
    assert first["input_ids"].tolist() == [language.tokenizer.encode("p")]
    assert first["request_output_len"].item() == 9
    assert first["end_id"].item() == language.end_ids[0]
    assert first["runtime_top_k"].item() == 3
    assert first["return_log_probs"].item() is True
    assert {arrays["seed"].item() for arrays in seen} == {2**64 - 1, 0}


async def test_every_sequence_has_a_stream_and_a_place_of_its_own(language, ids):
    model, infer = model_of(language, saying(ids))
    chunks = await answered(model, Call(text="p", n=4))
    assert [text_of(chunks, index) for index in range(4)] == ["the sea is wide"] * 4
    assert infer.begun == 4
    assert_free(model, infer)


async def test_more_sequences_than_places_take_turns(language, ids):
    model, infer = model_of(language, saying(ids), places=2)
    chunks = await answered(model, Call(text="p", n=6))
    assert [text_of(chunks, index) for index in range(6)] == ["the sea is wide"] * 6
    assert infer.most_open <= 2
    assert_free(model, infer)


async def test_a_stop_string_ends_the_request_in_the_engine(language):
    token_ids = language.tokenizer.encode("the sea is wide and")
    model, infer = model_of(language, until_stopped(*token_ids))
    call = Call(text="p", sampling=Sampling(stop=("wide",)), is_streamed=True)
    chunks = await answered(model, call)
    assert (text_of(chunks), chunks[-1].finish_reason) == ("the sea is ", FinishReason.STOP)
    assert_free(model, infer)


async def test_a_deadline_ends_it_wherever_it_is(language):
    model, infer = model_of(language, until_stopped(20))
    with pytest.raises(Expired, match="deadline_ms = 50"):
        await answered(model, Call(text="p", deadline_ms=50, n=3, is_streamed=True))
    assert_free(model, infer)


async def test_a_deadline_ends_the_wait_for_a_place(language):
    model, infer = model_of(language, until_stopped(20), places=1)
    first = asyncio.create_task(answered(model, Call(text="p")))
    await asyncio.sleep(0.01)
    with pytest.raises(Expired):
        await answered(model, Call(text="p", deadline_ms=20))
    assert (model.queue.turns.running, model.queue.turns.waiting, infer.begun) == (1, 0, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert_free(model, infer)


async def test_an_error_of_one_sequence_ends_the_others(language):
    def script(stream):
        if stream.number == 2:
            raise EngineFailed("broken")
        yield from until_stopped(20)(stream)

    model, infer = model_of(language, script)
    with pytest.raises(EngineFailed, match="broken"):
        await answered(model, Call(text="p", n=3, is_streamed=True))
    assert_free(model, infer)


async def test_a_defect_is_raised_as_it_is(language):
    def script(stream):
        raise ZeroDivisionError("secret")
        yield

    model, infer = model_of(language, script)
    with pytest.raises(ZeroDivisionError):
        await answered(model, Call(text="p"))
    assert_free(model, infer)


async def test_an_error_while_sending_frees_the_place(language):
    model, infer = model_of(language, until_stopped(20))

    def emit(chunk):
        raise RuntimeError("the client has gone")

    with pytest.raises(RuntimeError):
        await answer(model, Call(text="p", is_streamed=True), "r-1", emit)
    assert_free(model, infer)


async def test_a_full_line_refuses_the_whole_request(language):
    model, infer = model_of(language, until_stopped(20), places=1, max_waiting=1)
    with pytest.raises(QueueFull):
        await answered(model, Call(text="p", n=3))
    assert_free(model, infer)


@pytest.mark.parametrize(
    ("call", "kind"),
    [(Call(text=""), InvalidRequest), (Call(input_ids=(5,) * 5000), PromptTooLong)],
)
async def test_a_refused_prompt_takes_no_place(language, call, kind):
    model, infer = model_of(language, until_stopped(20))
    with pytest.raises(kind):
        await answered(model, call)
    assert infer.begun == 0
    assert_free(model, infer)


def granted(call, *, request_id="r-1"):
    grant = Grant(request_id, "m", "team", expires_at=time.time() + 30)
    return replace(call, grant=sign(grant, KEY))


async def test_a_bad_grant_is_refused_before_any_work(language):
    model, infer = model_of(language, until_stopped(20))
    unreadable = Call(text="", grant="forged")
    with pytest.raises(BadGrant):
        await answered(model, unreadable)
    with pytest.raises(BadGrant, match="another request"):
        await answered(model, granted(Call(text="p"), request_id="r-2"))
    assert infer.begun == 0
    assert_free(model, infer)


async def test_with_a_grant_the_first_chunk_of_each_sequence_says_what_was_used(language, ids):
    model, _ = model_of(language, saying(ids))
    chunks = await answered(model, granted(Call(text="p", n=2, is_streamed=True)))
    for index in (0, 1):
        first, *between, last = [chunk for chunk in chunks if chunk.index == index]
        assert first.usage == Usage(prompt_tokens=1, completion_tokens=1)
        assert last.usage == Usage(prompt_tokens=1, completion_tokens=len(ids))
        assert len(between) > 0
        assert all(chunk.usage is None for chunk in between)


@pytest.mark.parametrize("is_granted", [False, True])
async def test_what_is_used_so_far_is_told_to_none_but_the_holder_of_a_grant(
    language, ids, is_granted
):
    model, _ = model_of(language, saying(ids))
    call = Call(text="p", is_streamed=not is_granted)
    chunks = await answered(model, granted(call) if is_granted else call)
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


async def test_an_engine_that_just_ends_is_an_error_and_frees_its_place(language):
    def script(stream):
        yield response([20])

    model, infer = model_of(language, script)
    with pytest.raises(EngineFailed):
        await answered(model, Call(text="p"))
    assert_free(model, infer)


async def test_an_adapter_is_chosen_before_anything_is_done(language):
    model, infer = model_of(language, until_stopped(20))
    with pytest.raises(UnsupportedParameter, match="takes no adapters"):
        await answered(model, Call(text="", adapter="pirate"))
    assert infer.begun == 0
    assert_free(model, infer)


async def test_a_request_with_an_adapter_goes_through_the_pool(language, ids):
    world = World(saying(ids))

    class Registry:
        def choose(self, name, grant):
            assert (name, grant) == ("a1", None)
            return adapter(1)

    adapters = Adapters(Registry(), world.pool, world.mirror, world.room)
    model = replace(model_of(language, until_stopped(20))[0], adapters=adapters)
    chunks = await answered(model, Call(text="p", adapter="a1", n=2))
    assert [text_of(chunks, index) for index in range(2)] == ["the sea is wide"] * 2
    assert sorted(world.infer.sent) == [(1, False), (1, True)]
    assert (model.queue.turns.running, model.queue.turns.waiting) == (0, 0)
    world.assert_free()


async def test_tensors_of_a_callers_own_adapter_go_to_the_engine_as_they_are(language, ids):
    seen = []

    def script(stream):
        seen.append(stream.arrays)
        yield from saying(ids)(stream)

    model, _ = model_of(language, script)
    lora = {"lora_task_id": single("UINT64", 7), "lora_weights": single("INT32", 1)}
    await answer(model, Call(text="p"), "r-1", lambda _: None, lora=lora)
    assert all(seen[0][name] is array for name, array in lora.items())


@given(
    delay_ms=st.floats(0, 12),
    n=st.integers(1, 3),
    places=st.integers(1, 3),
    pause_ms=st.sampled_from([0.0, 1.0, 30.0]),
)
def test_cancelled_at_any_moment_it_leaves_nothing(language, delay_ms, n, places, pause_ms):
    async def scenario():
        script = until_stopped(20, pause_s=pause_ms / 1e3)
        model, infer = model_of(language, script, places=places)
        task = asyncio.create_task(answered(model, Call(text="p", n=n, is_streamed=True)))
        await asyncio.sleep(delay_ms / 1e3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 2)
        assert_free(model, infer)

    asyncio.run(scenario())
