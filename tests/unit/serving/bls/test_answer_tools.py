"""Tokens become calls, reasoning and text; stops, logprobs and seams go on as without tools."""

import asyncio
import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queues import queue_of
from streams import ScriptedEngine, response, saying
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import models
from tool_language import GET, HELLO, THINKING, WAIT, speaking, tool_template

from serving.bls.answer import Answer
from serving.bls.engine import Engine
from serving.bls.engine_tensors import Tokens
from serving.bls.grants import Gate
from serving.bls.language import Language, Prompt
from serving.bls.pipeline import Model, answer
from serving.bls.responder import Responder
from serving.contract.calls import Call, FinishReason, Sampling
from serving.contract.errors import Forbidden
from serving.contract.grant import Grant, sign
from serving.contract.tools import ToolChoice, joined
from serving.contract.wire import decode_chunk
from serving.text.tokenizer import Tokenizer
from serving.text.tools.mistral import MISTRAL

KEY = b"k" * 32
CALL = '<tool_call>{"name":"get","arguments":{"city":"Málaga 🌊"}}</tool_call>'
ASKED = Call(messages=HELLO, tools=(GET, WAIT), is_streamed=True)
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def language(demo_model):
    return speaking(Language.load(demo_model), tool_template())


def pushed(language, call, text, sizes=(1,), *, max_tokens=1000, end=True, logprobs=False):
    ids = language.tokenizer.encode(text) + ([language.end_ids[0]] if end else [])
    made = Answer(language, call, Prompt((5, 6), max_tokens, language.end_ids), 0)
    chunks, place = [], 0
    while ids and made.finish_reason is None:
        size = sizes[place % len(sizes)]
        part, ids, place = tuple(ids[:size]), ids[size:], place + 1
        scores = tuple(-float(i) for i in part) if logprobs else ()
        chunks.append(made.push(Tokens(part, scores)))
    return [chunk for chunk in chunks if chunk is not None]


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def calls_of(chunks):
    calls = joined(delta for chunk in chunks for delta in chunk.tool_calls)
    return [(call.name, json.loads(call.arguments)) for call in calls]


@given(sizes=SIZES)
def test_calls_come_as_they_are_made(language, sizes):
    chunks = pushed(language, ASKED, f"I look. {CALL}\n{CALL}", sizes)
    assert text_of(chunks) == "I look. "
    assert calls_of(chunks) == [("get", {"city": "Málaga 🌊"})] * 2
    assert chunks[-1].finish_reason is FinishReason.TOOL_CALLS
    begun = [delta for chunk in chunks for delta in chunk.tool_calls if delta.name]
    assert [delta.index for delta in begun] == [0, 1]
    assert begun[0].id != begun[1].id
    assert all(delta.id for delta in begun)


def test_arguments_are_not_held_up(language):
    chunks = pushed(language, ASKED, CALL)
    pieces = [delta.arguments for chunk in chunks for delta in chunk.tool_calls]
    assert len(pieces) > 4
    assert "".join(pieces) == '{"city":"Málaga 🌊"}'


def test_an_answer_without_a_call_is_text(language):
    chunks = pushed(language, ASKED, "the sea is <wide>")
    assert (text_of(chunks), calls_of(chunks)) == ("the sea is <wide>", [])
    assert chunks[-1].finish_reason is FinishReason.STOP


def test_a_call_that_is_cut_off_is_the_length(language):
    ids = language.tokenizer.encode(CALL)
    chunks = pushed(language, ASKED, CALL, max_tokens=len(ids) - 8)
    assert chunks[-1].finish_reason is FinishReason.LENGTH
    (call,) = joined(delta for chunk in chunks for delta in chunk.tool_calls)
    # The last character may be cut in its middle, too.
    assert '{"city":"Málaga 🌊"}'.startswith(call.arguments.rstrip("\N{REPLACEMENT CHARACTER}"))


def test_without_tools_the_same_text_is_content(language):
    chunks = pushed(language, Call(messages=HELLO), CALL)
    assert (text_of(chunks), calls_of(chunks)) == (CALL, [])
    assert chunks[-1].finish_reason is FinishReason.STOP


@given(sizes=SIZES)
def test_a_stop_string_ends_a_call_where_it_stands(language, sizes):
    call = replace(ASKED, sampling=Sampling(stop=("laga", "</tool_call>")))
    chunks = pushed(language, call, f"So: {CALL}", sizes)
    assert text_of(chunks) == "So: "
    (made,) = joined(delta for chunk in chunks for delta in chunk.tool_calls)
    assert (made.name, made.arguments) == ("get", '{"city":"Má')
    assert chunks[-1].finish_reason is FinishReason.STOP
    call = replace(ASKED, sampling=Sampling(stop=("</tool_call>",)))
    chunks = pushed(language, call, CALL, sizes)
    assert calls_of(chunks) == [("get", {"city": "Málaga 🌊"})]
    assert chunks[-1].finish_reason is FinishReason.TOOL_CALLS


@given(sizes=SIZES)
def test_logprobs_are_of_every_token(language, sizes):
    text = f"I look. {CALL}"
    call = replace(ASKED, has_logprobs=True)
    chunks = pushed(language, call, text, sizes, logprobs=True)
    assert b"".join(t.data for c in chunks for t in c.logprobs) == text.encode()
    assert calls_of(chunks) == [("get", {"city": "Málaga 🌊"})]


@given(sizes=SIZES)
def test_reasoning_is_apart_from_the_text(language, sizes):
    thinking = speaking(language, THINKING)
    text = f"<think>\nhm, {CALL}\n</think>\n\nI look. {CALL}"
    chunks = pushed(thinking, ASKED, text, sizes)
    assert "".join(chunk.reasoning for chunk in chunks) == f"hm, {CALL}\n"
    assert text_of(chunks) == "I look. "
    assert calls_of(chunks) == [("get", {"city": "Málaga 🌊"})]
    chunks = pushed(thinking, Call(messages=HELLO), text, sizes)
    assert text_of(chunks) == f"I look. {CALL}"


def test_marks_that_are_special_tokens_are_seen():
    words = ["hi", "[TOOL_CALLS]", "<s>", '[{"name":"get","arguments":{}}]']
    raw = HfTokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, "hi"))
    raw.add_special_tokens(words[1:3])
    tokenizer = Tokenizer(raw)
    assert tokenizer.decode([2, 1, 0]) == "hi"
    assert tokenizer.showing(("[TOOL_CALLS]",)).decode([2, 1, 0]) == "[TOOL_CALLS] hi"
    assert tokenizer.showing(("<tool_call>",)) is tokenizer
    language = Language(tokenizer, None, 99, (2,), Sampling(), MISTRAL)
    made = Answer(language, ASKED, Prompt((0,), 9, (2,)), 0)
    chunk = made.push(Tokens((1, 3, 2)))
    assert (chunk.text, chunk.finish_reason) == ("", FinishReason.TOOL_CALLS)
    assert [(call.name, call.arguments) for call in chunk.tool_calls] == [("get", "{}")]


class Sink:
    """What a client would get."""

    def __init__(self):
        self.chunks = []

    def send(self, arrays, *, is_final):
        self.chunks.append(decode_chunk(arrays))


def model_of(language, script):
    return Model(Gate("m", None), language, queue_of(4), Engine("m_engine", ScriptedEngine(script)))


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_call_goes_its_whole_way(language, is_streamed):
    ids = [*language.tokenizer.encode(f"So: {CALL}"), language.end_ids[0]]
    call = replace(ASKED, n=2, is_streamed=is_streamed)
    sink = Sink()
    model = model_of(language, saying(ids))
    await answer(model, call, "r-1", Responder(sink, call).emit)
    for index in (0, 1):
        mine = [chunk for chunk in sink.chunks if chunk.index == index]
        assert is_streamed or len(mine) == 1
        assert (text_of(mine), mine[-1].finish_reason) == ("So: ", FinishReason.TOOL_CALLS)
        assert calls_of(mine) == [("get", {"city": "Málaga 🌊"})]


def going_on(ids, prompt_length):
    """An engine that says the rest of `ids` when its prompt has the beginning of them."""

    def script(stream):
        rest = ids[stream.arrays["input_ids"].shape[1] - prompt_length :]
        for place, token_id in enumerate(rest):
            if stream.is_stopped.wait(0.001):
                yield response([], is_last=True)
                return
            yield response([token_id], is_last=place == len(rest) - 1)

    return script


async def test_a_call_goes_on_where_it_was_paused(language):
    ids = [*language.tokenizer.encode(f"So: {CALL}"), language.end_ids[0]]
    model = model_of(language, going_on(ids, len(language.prompt(ASKED).ids)))
    turns = model.queue.turns
    chunks = []
    task = asyncio.create_task(answer(model, ASKED, "r-1", chunks.append))
    pauses = 0
    while not task.done():
        if len(chunks) > 3 * pauses + 3:
            pauses += 1
            turns.pause(list(turns))
            while turns.running:
                await asyncio.sleep(0.001)
            turns.resume(list(turns))
        await asyncio.sleep(0.001)
    await task
    assert turns.scheduler.counts.resumes > 1
    assert text_of(chunks) == "So: "
    assert calls_of(chunks) == [("get", {"city": "Málaga 🌊"})]
    assert chunks[-1].usage.completion_tokens == len(ids)


async def test_a_tool_beyond_the_grant_ends_it_before_any_work(language):
    engine = ScriptedEngine(saying([language.end_ids[0]]))
    model = Model(Gate("m", KEY), language, queue_of(4), Engine("m_engine", engine))
    grant = Grant("r-1", "m", "team", expires_at=time.time() + 30, tools=("get",))
    with pytest.raises(Forbidden, match="the tool 'wait'"):
        await answer(model, replace(ASKED, grant=sign(grant, KEY)), "r-1", lambda _: None)
    assert engine.begun == 0


async def test_a_call_that_is_forced_goes_to_the_engine_with_its_grammar(language):
    seen = []

    def script(stream):
        seen.append(stream.arrays)
        yield response([language.end_ids[0]], is_last=True)

    call = replace(ASKED, tool_choice=ToolChoice.REQUIRED)
    await answer(model_of(language, script), call, "r-1", lambda _: None)
    assert seen[0]["guided_decoding_guide_type"].item() == b"ebnf_grammar"
    assert b"<tool_call>" in seen[0]["guided_decoding_guide"].item()
