"""Tokens become text that may be shown, with the reason of its end, and no stop string leaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import response

from serving.bls.answer import PROGRESS_PERIOD_S, Answer, Progress
from serving.bls.engine_tensors import Tokens, decode
from serving.bls.language import Language, Prompt
from serving.contract.calls import Call, EngineTimes, FinishReason, Sampling

TIMES = EngineTimes(0, 10**6, 3 * 10**6, 7 * 10**6)
WRITING = st.text(st.sampled_from("ab é中😀"), max_size=16)
STOPS = st.lists(st.text(st.sampled_from("ab é中😀"), min_size=1, max_size=4), max_size=3).map(
    tuple
)


@pytest.fixture(scope="session")
def language(demo_model):
    return Language.load(demo_model)


def answer_of(language, call=None, *, max_tokens=1000, index=0):
    prompt = Prompt((5, 6, 7), max_tokens, language.end_ids)
    return Answer(language, call or Call(text="p"), prompt, index)


def groups(ids, sizes):
    start, place = 0, 0
    while start < len(ids):
        size = sizes[place % len(sizes)]
        yield tuple(ids[start : start + size])
        start, place = start + size, place + 1


def pushed(made, ids, sizes=(1,), *, logprobs=False, is_ended=True):
    chunks = []
    parts = list(groups(ids, sizes))
    for place, part in enumerate(parts):
        is_last = is_ended and place == len(parts) - 1
        values = tuple(-float(i) for i in part) if logprobs else ()
        chunks.append(made.push(Tokens(part, values, TIMES if is_last else None)))
        if made.finish_reason is not None:
            break
    else:
        chunks.append(made.end())
    return [chunk for chunk in chunks if chunk is not None]


def text_of(chunks):
    return "".join(chunk.text for chunk in chunks)


def cut(text, stops):
    for end in range(len(text) + 1):
        begun = [end - len(stop) for stop in stops if text[:end].endswith(stop)]
        if begun:
            return text[: min(begun)], True
    return text, False


@given(text=WRITING, stops=STOPS, sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_text_ends_before_the_first_stop_however_it_came(language, text, stops, sizes):
    ids = [*language.tokenizer.encode(text), language.end_ids[0]]
    made = answer_of(language, Call(text="p", sampling=Sampling(stop=stops)))
    chunks = pushed(made, ids, sizes)
    assert text_of(chunks) == cut(text, stops)[0]
    assert made.finish_reason is FinishReason.STOP
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


@given(text=WRITING, stops=STOPS, sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_logprobs_show_no_more_than_the_text(language, text, stops, sizes):
    ids = [*language.tokenizer.encode(text), language.end_ids[0]]
    call = Call(text="p", sampling=Sampling(stop=stops), has_logprobs=True)
    chunks = pushed(answer_of(language, call), ids, sizes, logprobs=True)
    shown, is_cut = cut(text, stops)
    data = b"".join(token.data for chunk in chunks for token in chunk.logprobs)
    assert text_of(chunks) == shown
    assert shown.encode().startswith(data)
    if not is_cut:
        assert data == shown.encode()
        assert [t.token_id for c in chunks for t in c.logprobs] == ids[:-1]


def test_logprobs_do_not_begin_a_character_that_begins_a_stop(language):
    ids = language.tokenizer.encode("a中b")
    assert len(ids) > 3
    call = Call(text="p", sampling=Sampling(stop=("中",)), has_logprobs=True)
    chunks = pushed(answer_of(language, call), ids, logprobs=True)
    assert text_of(chunks) == "a"
    assert b"".join(token.data for chunk in chunks for token in chunk.logprobs) == b"a"


def test_an_end_token_ends_the_answer_and_is_not_shown(language):
    made = answer_of(language)
    chunks = pushed(made, [*language.tokenizer.encode("the sea"), language.end_ids[0]])
    assert (text_of(chunks), made.finish_reason) == ("the sea", FinishReason.STOP)
    assert chunks[-1].usage.completion_tokens == len(language.tokenizer.encode("the sea")) + 1


def test_as_many_tokens_as_asked_for_is_the_length(language):
    ids = language.tokenizer.encode("the sea is wide")
    made = answer_of(language, max_tokens=len(ids))
    chunks = pushed(made, ids)
    assert (text_of(chunks), made.finish_reason) == ("the sea is wide", FinishReason.LENGTH)


def test_half_a_character_at_the_end_is_one_replacement(language):
    ids = language.tokenizer.encode("a中")[:-1]
    made = answer_of(language, max_tokens=len(ids))
    assert text_of(pushed(made, ids)) == "a\N{REPLACEMENT CHARACTER}"


def test_an_end_by_a_complete_grammar_is_a_stop(language):
    made = answer_of(language)
    pushed(made, language.tokenizer.encode("{}"))
    assert made.finish_reason is FinishReason.STOP


def test_an_end_without_tokens_is_a_cancellation(language):
    made = answer_of(language)
    made.push(Tokens(tuple(language.tokenizer.encode("the"))))
    chunk = made.push(Tokens((), (), TIMES))
    assert (chunk.finish_reason, chunk.usage.completion_tokens > 0) == (
        FinishReason.CANCELLED,
        True,
    )


def test_what_was_held_for_a_stop_comes_when_none_came(language):
    ids = language.tokenizer.encode("one two")
    made = answer_of(language, Call(text="p", sampling=Sampling(stop=("two three",))))
    assert text_of(pushed(made, [*ids, language.end_ids[0]])) == "one two"


def test_a_stop_that_completes_with_the_last_token_is_a_stop(language):
    ids = language.tokenizer.encode("one two")
    call = Call(text="p", sampling=Sampling(stop=("two",)))
    made = answer_of(language, call, max_tokens=len(ids))
    assert (text_of(pushed(made, ids)), made.finish_reason) == ("one ", FinishReason.STOP)


@pytest.mark.parametrize(
    ("call", "echo"), [(Call(text="p q", is_echoed=True), "p q"), (Call(text="p q"), "")]
)
def test_the_prompt_comes_first_when_it_is_asked_for(language, call, echo):
    chunks = pushed(answer_of(language, call), language.tokenizer.encode(" the sea"))
    assert text_of(chunks) == f"{echo} the sea"
    assert chunks[0].text.startswith(echo)


def test_the_prompt_of_ids_is_echoed_as_their_text(language):
    ids = tuple(language.tokenizer.encode("hello"))
    prompt = Prompt(ids, 10, language.end_ids)
    made = Answer(language, Call(input_ids=ids, is_echoed=True), prompt, 0)
    end = Tokens((language.end_ids[0],))
    assert made.push(end).text == "hello"


def test_usage_and_times_are_of_this_sequence(language):
    ids = language.tokenizer.encode("the sea is")
    made = answer_of(language, index=3)
    chunks = pushed(made, ids)
    assert {chunk.index for chunk in chunks} == {3}
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, len(ids))
    timings = made.timings(2.0)
    assert (timings.queue_ms, timings.prefill_ms, timings.decode_ms) == (3.0, 2.0, 4.0)
    assert chunks[-1].engine_times == TIMES
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_progress_is_told_at_once_and_then_now_and_then():
    times = [5.0, 5.01, 5.0 + PROGRESS_PERIOD_S, 5.01 + PROGRESS_PERIOD_S, 9.0]

    def due(call):
        progress = Progress.of(call, 5.0)
        return [progress.is_due(now_s) for now_s in times]

    assert due(Call(grant="g", is_streamed=True)) == [True, False, True, False, True]
    assert due(Call(grant="g")) == [False, False, True, False, True]
    assert due(Call(is_streamed=True)) == [False] * 5


def test_the_score_of_the_whole_comes_with_logprobs_only(language):
    ids = language.tokenizer.encode("the sea")
    scored = pushed(answer_of(language, Call(text="p", has_logprobs=True)), ids, logprobs=True)
    assert scored[-1].cum_logprob == -float(sum(ids))
    assert pushed(answer_of(language), ids)[-1].cum_logprob is None


def test_engine_responses_are_read_as_tokens():
    assert decode(response([1, 2], logprobs=[-0.5, -1.0])) == Tokens((1, 2), (-0.5, -1.0))
    assert decode(response([3], is_last=True)).times == EngineTimes(0, 10**6, 2 * 10**6, 3 * 10**6)
    assert decode(response([])) == Tokens(())
