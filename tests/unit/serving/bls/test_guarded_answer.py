"""One sequence's answer: what may be shown of it by rules."""

from dataclasses import replace

import pytest
from guarding import Heard, ready, words

from serving.bls.guarded_answer import GuardedAnswer
from serving.contract.calls import Chunk, FinishReason, TokenLogprob
from serving.contract.guardrails import Action, Check, CheckKind, OnFailure, Stage
from serving.guardrails.placeholders import Placeholders
from serving.guardrails.tools.run import Run

EMAIL = Check(CheckKind.PERSONAL, Action.REDACT, (Stage.OUTPUT,), kinds=("email",))
LAST = Chunk(finish_reason=FinishReason.STOP)


def answer_of(*checks, heard=None, placeholders=None, **options):
    heard = heard or Heard()
    return GuardedAnswer(
        ready(*checks, **options),
        (),
        Run(),
        placeholders or Placeholders(),
        heard.verdicts.extend,
        heard.failures.append,
    )


def shown(answer, *chunks):
    made = [answer.push(chunk) for chunk in chunks]
    return "".join(c.text for c in made), "".join(c.reasoning for c in made), made


def test_without_checks_of_answers_chunks_go_through_as_they_are():
    answer = answer_of(words(Action.BLOCK, "x", Stage.INPUT))
    chunk = Chunk(text="x", logprobs=(TokenLogprob(1, b"x", -1.0),))
    assert answer.is_idle
    assert answer.push(chunk) is chunk


def test_reasoning_is_read_too():
    answer = answer_of(words(Action.BLOCK, "secret plan", Stage.OUTPUT))
    text, reasoning, made = shown(
        answer, Chunk(reasoning="the secret "), Chunk(reasoning="plan is"), Chunk(text="hi"), LAST
    )
    assert (text, reasoning) == ("", "the ")
    assert made[-1].finish_reason is FinishReason.CONTENT_FILTER


def test_reasoning_is_told_before_what_is_said():
    answer = answer_of(EMAIL)
    first = answer.push(Chunk(reasoning="ask ada@example.com"))
    second = answer.push(Chunk(text="Well"))
    assert first.reasoning + second.reasoning == "ask [email_1]"


def test_placeholders_are_put_back_in_both():
    vault = Placeholders()
    vault.of("email", "ada@example.com")
    answer = answer_of(placeholders=vault, is_reversible=True)
    text, reasoning, _ = shown(
        answer,
        Chunk(reasoning="[ema"),
        Chunk(reasoning="il_1]"),
        Chunk(text="[email"),
        replace(LAST, text="_1]"),
    )
    assert (text, reasoning) == ("ada@example.com", "ada@example.com")


def test_after_a_block_nothing_goes_out():
    answer = answer_of(words(Action.BLOCK, "wide", Stage.OUTPUT))
    assert answer.push(Chunk(text="a wide sea")).finish_reason is FinishReason.CONTENT_FILTER
    later = answer.push(Chunk(text="more", reasoning="why", logprobs=(TokenLogprob(1, b"m", 0),)))
    assert later == Chunk(finish_reason=FinishReason.CONTENT_FILTER)


def test_log_probabilities_of_what_is_held_wait_for_it():
    answer = answer_of(EMAIL)
    token = TokenLogprob(1, b"ada", -1.0)
    assert answer.push(Chunk(text="ada@exam", logprobs=(token,))).logprobs == ()
    assert answer.push(Chunk(text=" no. ", logprobs=(token,))).logprobs == (token, token)


@pytest.mark.parametrize("rule", list(OnFailure))
def test_a_rule_that_fails_finds_nothing_or_blocks_as_the_policy_says(monkeypatch, rule):
    def broken(*_):
        raise RuntimeError("a defect")

    monkeypatch.setattr("serving.guardrails.stream.Examination.all", broken)
    heard = Heard()
    answer = answer_of(EMAIL, heard=heard, on_failure=rule)
    if rule is OnFailure.CLOSED:
        assert answer.push(Chunk(text="x ")) == Chunk(finish_reason=FinishReason.CONTENT_FILTER)
    else:
        assert answer.push(Chunk(text="x ")) == Chunk(text="x ")
    assert len(heard.failures) == 1
