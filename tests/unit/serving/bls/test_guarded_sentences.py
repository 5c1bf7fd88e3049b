"""An answer by its meaning, a sentence at a time."""

import pytest
from guarding import FORBIDDEN, Heard, ToldEmbedding, ready, topic

from serving.bls.guarded_sentences import MAX_SENTENCE, GuardedSentences
from serving.contract.calls import Chunk, FinishReason, TokenLogprob
from serving.contract.errors import EngineFailed
from serving.contract.guardrails import Action, Hold, OnFailure, Stage

BLOCK, REDACT = (topic(action, Stage.OUTPUT) for action in (Action.BLOCK, Action.REDACT))
LAST = Chunk(finish_reason=FinishReason.STOP)
TOKEN = TokenLogprob(1, b"x", -1.0)


def reading(*checks, embedding=None, heard=None, **options):
    heard = heard or Heard()
    guards = heard.guards(embedding or ToldEmbedding())
    made = GuardedSentences.of(guards, ready(*checks, **options), heard.verdicts.extend)
    assert made is not None
    return made


async def test_without_checks_there_is_nothing_to_read():
    compiled = ready(topic(Action.BLOCK, Stage.INPUT))
    assert GuardedSentences.of(Heard().guards(), compiled, lambda _: None) is None


async def test_a_sentence_is_held_until_it_is_whole():
    sentences = reading(BLOCK)
    assert (await sentences.push(Chunk(text="The sea"))).text == ""
    assert (await sentences.push(Chunk(text=" is wide. And"))).text == "The sea is wide."
    assert (await sentences.push(LAST)).text == " And"


@pytest.mark.parametrize("mark", "。！？")
async def test_sentences_of_scripts_without_spaces_end_too(mark):
    sentences = reading(BLOCK)
    assert (await sentences.push(Chunk(text=f"海很宽{mark}天"))).text == f"海很宽{mark}"


async def test_what_never_ends_is_read_in_pieces():
    sentences = reading(BLOCK)
    chunk = Chunk(text="a " * (MAX_SENTENCE // 2))
    assert (await sentences.push(chunk)).text == ""
    assert len((await sentences.push(Chunk(text="a"))).text) == MAX_SENTENCE + 1


async def test_a_redacted_sentence_takes_its_log_probabilities_with_it():
    sentences = reading(REDACT)
    held = await sentences.push(Chunk(text=f"It is {FORBIDDEN}", logprobs=(TOKEN,)))
    made = await sentences.push(Chunk(text=".", logprobs=(TOKEN,)))
    assert (held.text, made.text) == ("", "[topics]")
    assert held.logprobs + made.logprobs == ()
    after = await sentences.push(Chunk(text=" Fine.", logprobs=(TOKEN,)))
    assert (after.text, after.logprobs) == (" Fine.", (TOKEN,))


async def test_reasoning_is_read_too():
    sentences = reading(BLOCK)
    made = await sentences.push(Chunk(reasoning=f"I think of what is {FORBIDDEN}."))
    assert made == Chunk(finish_reason=FinishReason.CONTENT_FILTER)


async def test_reasoning_goes_out_before_what_is_said():
    sentences = reading(BLOCK)
    assert (await sentences.push(Chunk(reasoning="Let me see"))).reasoning == ""
    assert (await sentences.push(Chunk(text="Well"))).reasoning == "Let me see"


async def test_with_nothing_held_text_goes_out_as_it_comes():
    sentences = reading(BLOCK, hold=Hold.NONE)
    assert (await sentences.push(Chunk(text="The sea", logprobs=(TOKEN,)))).logprobs == (TOKEN,)
    ended = await sentences.push(Chunk(text=f" is {FORBIDDEN}."))
    assert (ended.text, ended.finish_reason) == (
        f" is {FORBIDDEN}.",
        FinishReason.CONTENT_FILTER,
    )


@pytest.mark.parametrize("rule", list(OnFailure))
async def test_a_sentence_that_cannot_be_read_follows_the_policy(rule):
    heard, embedding = Heard(), ToldEmbedding(error=EngineFailed("broken"))
    sentences = reading(BLOCK, embedding=embedding, heard=heard, on_failure=rule)
    made = await sentences.push(Chunk(text="The sea is wide."))
    is_open = rule is OnFailure.OPEN
    assert made.text == ("The sea is wide." if is_open else "")
    assert made.finish_reason is (None if is_open else FinishReason.CONTENT_FILTER)
    assert len(heard.failures) == 1
