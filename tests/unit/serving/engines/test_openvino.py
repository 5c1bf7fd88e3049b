"""The real engine on the demo model: who joins, who leaves, what each gets, what breaks nobody."""

from collections import defaultdict
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from serving.contract.calls import Guide
from serving.engines.engine import Engine
from serving.engines.messages import EngineSettings
from serving.engines.requests import EngineRequest
from serving.text.model_files import end_ids

MAX_STEPS = 400
_keys = count(1)


def settings(model, **fields):
    return EngineSettings(
        **({"model_path": model, "kv_tokens": 4096, "max_num_seqs": 8} | fields),
        max_num_batched_tokens=256,
    )


@pytest.fixture(scope="module")
def engine(demo_model):
    return Engine(settings(demo_model))


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(engine):
    room = engine.room
    yield
    assert engine.is_idle
    assert engine.room == room


@pytest.fixture(scope="module")
def hello(tokenizer):
    text = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    return np.array(tokenizer.encode(text, has_template=True), np.int64)


@pytest.fixture(scope="module")
def end_id(demo_model):
    return end_ids(demo_model)[0]


class Run:
    """Steps an engine and keeps what it made, by key."""

    def __init__(self, engine):
        self.engine = engine
        self.updates = defaultdict(list)

    def add(self, request, sequence=0):
        key = (next(_keys), 0, sequence)
        self.engine.add(key, request)
        return key

    def step(self, times=1):
        for _ in range(times):
            for update in self.engine.step():
                self.updates[update.key].append(update)
        return self

    def until_idle(self):
        for _ in range(MAX_STEPS):
            if self.engine.is_idle:
                return self
            self.step()
        raise AssertionError("the engine does not come to an end")

    def cancel(self, key):
        for update in self.engine.cancel(key[0]):
            self.updates[update.key].append(update)

    def tokens(self, key):
        return [token for update in self.updates[key] for token in update.tokens]

    def is_ended(self, key):
        return [update.is_last for update in self.updates[key]].count(True) == 1

    def error(self, key):
        return self.updates[key][-1].error


def answer(engine, request, sequence=0):
    run = Run(engine)
    key = run.add(request, sequence)
    tokens = run.until_idle().tokens(key)
    assert run.is_ended(key)
    assert run.error(key) is None
    return tokens


def test_a_greedy_answer_is_always_the_same(engine, hello):
    request = EngineRequest(hello, 12)
    first = answer(engine, request)
    assert len(first) == 12
    assert [answer(engine, request) for _ in range(3)] == [first] * 3


def test_temperature_zero_is_greedy(engine, hello):
    greedy = answer(engine, EngineRequest(hello, 8))
    assert answer(engine, EngineRequest(hello, 8, temperature=0.0, top_k=50, top_p=0.9)) == greedy


def test_tokens_come_one_a_step_and_the_first_and_last_are_marked(engine, hello):
    run = Run(engine)
    key = run.add(EngineRequest(hello, 5))
    run.until_idle()
    updates = run.updates[key]
    assert [len(update.tokens) for update in updates] == [1] * 5
    assert [update.is_first for update in updates] == [True] + [False] * 4
    assert [update.is_last for update in updates] == [False] * 4 + [True]
    times = [(u.first_scheduled_ns, u.first_token_ns, u.last_token_ns) for u in updates]
    assert all(0 < first <= token <= last for first, token, last in times)


def test_requests_join_and_leave_the_running_batch_at_any_step(engine, hello):
    run = Run(engine)
    keys = []
    for length in (20, 3, 9, 1, 6):
        keys.append((run.add(EngineRequest(hello, length)), length))
        run.step()
    seen = {engine.running}
    for _ in range(MAX_STEPS):
        if engine.is_idle:
            break
        run.step()
        seen.add(engine.running)
    assert len(seen) >= 3
    longest = run.tokens(keys[0][0])
    for key, length in keys:
        assert run.is_ended(key)
        assert run.tokens(key) == longest[:length]


def test_sequences_of_one_request_differ_and_a_seed_repeats_them(engine, hello):
    request = EngineRequest(hello, 32, min_tokens=32, temperature=2.0, top_p=1.0, seed=7)
    first = [answer(engine, request, sequence) for sequence in range(3)]
    assert len(set(map(tuple, first))) == 3
    assert [answer(engine, request, sequence) for sequence in range(3)] == first


def test_without_a_seed_answers_differ(engine, hello):
    request = EngineRequest(hello, 32, min_tokens=32, temperature=2.0, top_p=1.0)
    assert len({tuple(answer(engine, request)) for _ in range(4)}) > 1


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**63, 2**64 - 1])
def test_every_seed_of_the_contract_is_taken(engine, hello, seed):
    request = EngineRequest(hello, 4, temperature=1.5, top_p=1.0, seed=seed)
    assert answer(engine, request, 1) == answer(engine, request, 1)


def test_the_end_token_ends_the_answer_and_is_its_last(engine, hello):
    free = answer(engine, EngineRequest(hello, 8))
    assert (
        answer(engine, EngineRequest(hello, 8, end_id=free[4])) == free[: free.index(free[4]) + 1]
    )


def test_without_an_end_token_the_answer_has_its_full_length(engine, hello):
    assert len(answer(engine, EngineRequest(hello, 60))) == 60


def test_a_stop_token_ends_the_answer(engine, hello, end_id):
    free = answer(engine, EngineRequest(hello, 8))
    request = EngineRequest(hello, 8, end_id=end_id, stop_sequences=((free[3],),))
    assert answer(engine, request) == free[: free.index(free[3]) + 1]


def test_a_stop_sequence_of_several_tokens_ends_the_answer(engine, hello, end_id):
    free = answer(engine, EngineRequest(hello, 8))
    stops = ((free[2], free[3]), (free[4], free[3]))
    request = EngineRequest(hello, 8, end_id=end_id, stop_sequences=stops)
    assert answer(engine, request) == free[:4]


def test_the_last_two_tokens_are_a_stop_sequence_only_in_their_order(engine, hello):
    free = answer(engine, EngineRequest(hello, 8))
    request = EngineRequest(hello, 8, stop_sequences=((free[3], free[2]),))
    assert answer(engine, request) == free


def test_an_answer_is_as_long_as_it_must_be(engine, hello, end_id):
    natural = answer(engine, EngineRequest(hello, 60, end_id=end_id))
    assert len(natural) < 20
    longer = answer(engine, EngineRequest(hello, 60, end_id=end_id, min_tokens=len(natural) + 5))
    assert len(longer) > len(natural) + 4


def test_more_tokens_asked_for_than_may_come_is_as_many_as_may(engine, hello, end_id):
    request = EngineRequest(hello, 5, end_id=end_id, min_tokens=2**31 - 1)
    assert len(answer(engine, request)) == 5


def test_logprobs_belong_to_the_tokens_and_add_up(engine, hello):
    run = Run(engine)
    key = run.add(EngineRequest(hello, 6, has_logprobs=True, top_p=1.0, temperature=2.0, seed=1))
    run.until_idle()
    updates = run.updates[key]
    values = [value for update in updates for value in update.logprobs]
    assert len(values) == len(run.tokens(key)) == 6
    assert all(value <= 0 for value in values)
    assert updates[-1].cum_logprob == pytest.approx(sum(values), abs=1e-3)


def test_no_logprobs_come_unasked(engine, hello):
    run = Run(engine)
    key = run.add(EngineRequest(hello, 3))
    run.until_idle()
    assert not any(update.logprobs for update in run.updates[key])


@pytest.mark.parametrize(
    "fields",
    [
        {"repetition_penalty": 0.01},
        {"repetition_penalty": 100.0},
        {"presence_penalty": 2.0, "frequency_penalty": -2.0},
        {"temperature": 1e-30, "top_k": 5},
        {"temperature": 100.0, "top_p": 1.0},
        {"top_k": 2**31 - 1},
        {"top_p": 1e-30},
        {"end_id": 2**31 - 1},
    ],
)
def test_the_limits_of_every_range_are_taken(engine, hello, fields):
    assert len(answer(engine, EngineRequest(hello, 4, **fields))) == 4


def test_a_running_request_that_is_cancelled_leaves_at_once(engine, hello):
    run = Run(engine)
    gone, stays = run.add(EngineRequest(hello, 200)), run.add(EngineRequest(hello, 12))
    run.step(4)
    run.cancel(gone)
    assert (engine.running, run.is_ended(gone)) == (1, True)
    made = len(run.tokens(gone))
    run.until_idle()
    assert len(run.tokens(gone)) == made
    assert len(run.tokens(stays)) == 12


def test_a_waiting_request_that_is_cancelled_never_runs(demo_model, hello):
    engine = Engine(settings(demo_model, max_num_seqs=1))
    run = Run(engine)
    first, gone, last = (run.add(EngineRequest(hello, 6)) for _ in range(3))
    run.step()
    assert (engine.running, engine.waiting) == (1, 2)
    run.cancel(gone)
    assert (engine.waiting, run.is_ended(gone), run.tokens(gone)) == (1, True, [])
    run.until_idle()
    assert run.tokens(first) == run.tokens(last)
    assert len(run.tokens(last)) == 6


def test_every_sequence_of_a_request_is_cancelled_with_it(engine, hello):
    run = Run(engine)
    number = next(_keys)
    keys = [(number, row, sequence) for row in range(2) for sequence in range(6)]
    for key in keys:
        engine.add(key, EngineRequest(hello, 100))
    run.step(2)
    assert (engine.running, engine.waiting) == (8, 4)
    run.cancel(keys[0])
    assert engine.is_idle
    assert all(map(run.is_ended, keys))


def test_cancelling_what_nobody_knows_does_nothing(engine):
    assert engine.cancel(10**9) == []


def test_a_full_kv_cache_makes_others_wait_their_turn(demo_model, hello):
    engine = Engine(settings(demo_model, kv_tokens=192))
    run = Run(engine)
    keys = [run.add(EngineRequest(hello, 96 - len(hello))) for _ in range(5)]
    most = 0
    while not engine.is_idle:
        run.step()
        most = max(most, engine.running)
    assert most == 2
    assert all(len(run.tokens(key)) == 96 - len(hello) for key in keys)
    ends = [run.updates[key][-1].last_token_ns for key in keys]
    assert ends == sorted(ends)


def test_whatever_the_cache_holds_in_whole_blocks_can_run(demo_model):
    chosen = settings(demo_model, kv_tokens=100)
    engine = Engine(chosen)
    prompt = np.arange(100, 164, dtype=np.int64)
    assert len(answer(engine, EngineRequest(prompt, chosen.kv_blocks * 32 - 64))) > 0


def test_what_the_library_refuses_fails_alone(engine, hello):
    run = Run(engine)
    fine = run.add(EngineRequest(hello, 6))
    run.step()
    refused = run.add(EngineRequest(hello, 6, stop_sequences=((-3,),)))
    waiting = run.add(EngineRequest(hello, 6))
    run.until_idle()
    assert run.error(refused) is not None
    assert run.is_ended(refused)
    assert run.tokens(fine) == run.tokens(waiting) == answer(engine, EngineRequest(hello, 6))


def test_a_step_that_fails_fails_what_ran_and_nothing_after_it(demo_model, hello, end_id):
    engine = Engine(settings(demo_model, max_num_seqs=2))
    run = Run(engine)
    before = run.add(EngineRequest(hello, 50))
    run.step(3)
    broken = EngineRequest(hello, 6, end_id=end_id, guide=Guide("regex", "(((("))
    culprit, waiting = run.add(broken), run.add(EngineRequest(hello, 6))
    run.until_idle()
    assert run.error(culprit) is not None
    assert run.error(before) is not None
    assert run.is_ended(before)
    assert run.tokens(waiting) == answer(engine, EngineRequest(hello, 6))
    assert engine.room.blocks == settings(demo_model).kv_blocks


def test_a_guided_answer_follows_its_guide(engine, hello, tokenizer, end_id):
    request = EngineRequest(hello, 40, end_id=end_id)
    for guide, text in (
        (Guide("regex", "(yes|no), sea"), ("yes, sea", "no, sea")),
        (Guide("ebnf_grammar", 'root ::= "ab" "cd"'), ("abcd",)),
        (Guide("json_schema", '{"enum": ["red"]}'), ('"red"',)),
    ):
        made = answer(engine, replace(request, guide=guide))
        assert tokenizer.decode(made) in text
