"""Tokens are guessed from what came before, and a guess never blocks anybody for good."""

import pytest

from gateway.estimates import (
    ANSWER_TOKENS,
    TOKENS_PER_BYTE,
    Averages,
    Estimate,
    Estimates,
    affordable,
)
from serving.contract.calls import Call, Sampling
from serving.contract.policy import NO_LIMITS, Limits


def call(max_tokens: int | None = None, n: int = 1, ids: int | None = None) -> Call:
    input_ids = None if ids is None else tuple(range(ids))
    text = "x" if ids is None else None
    return Call(text, input_ids, sampling=Sampling(max_tokens=max_tokens), n=n)


def test_before_anything_is_known_there_are_defaults():
    estimate = Estimates().of("key:a", "demo", [call()], prompt_bytes=100)
    assert estimate == Estimate(round(100 * TOKENS_PER_BYTE), int(ANSWER_TOKENS), is_guess=True)


def test_every_choice_of_every_prompt_may_be_as_long_as_asked_for():
    estimate = Estimates().of("key:a", "demo", [call(10, n=3), call(20, n=3)], 0)
    assert (estimate.completion_tokens, estimate.is_guess) == (90, False)


def test_tokens_that_were_sent_are_counted():
    assert Estimates().of("key:a", "demo", [call(ids=7), call(ids=5)], 1_000).prompt_tokens == 12


def test_ratios_are_learnt_by_model_and_answers_by_caller():
    estimates = Estimates()
    for _ in range(200):
        estimates.learn_prompt("demo", prompt_bytes=1_000, tokens=100)
        estimates.learn_answer("key:a", "demo", 20)
    learnt = estimates.of("key:a", "demo", [call()], 1_000)
    assert learnt.prompt_tokens in (100, 101)
    assert learnt.completion_tokens in (20, 21)
    other = estimates.of("key:b", "other", [call()], 1_000)
    assert (other.prompt_tokens, other.completion_tokens) == (300, 256)


def test_a_prompt_of_no_bytes_teaches_nothing():
    estimates = Estimates()
    estimates.learn_prompt("demo", prompt_bytes=0, tokens=100)
    assert estimates.of("key:a", "demo", [call()], 100).prompt_tokens == 30


def test_callers_not_seen_for_longest_are_forgotten():
    averages: Averages[int] = Averages(first=0, weight=1, most=3)
    for key in (1, 2, 3, 1, 4):
        averages.learn(key, key)
    assert len(averages) == 3
    assert [averages[key] for key in (1, 2, 3, 4)] == [1, 0, 3, 4]


@pytest.mark.parametrize(
    ("limits", "tokens"),
    [
        ([], 500),
        ([NO_LIMITS], 500),
        ([Limits(output_tokens_per_minute=100), Limits(output_tokens_per_minute=300)], 100),
        ([Limits(output_tokens_per_minute=120, burst_s=30)], 60),
        ([Limits(output_tokens_per_minute=1, burst_s=1)], 1),
        ([Limits(tokens_per_day=130)], 30),
        ([Limits(tokens_per_day=50)], 0),
    ],
)
def test_a_guess_is_never_more_than_could_ever_pass(limits, tokens):
    guess = Estimate(100, 500, is_guess=True)
    assert affordable(guess, limits) == tokens
    assert affordable(Estimate(100, 500, is_guess=False), limits) == 500
