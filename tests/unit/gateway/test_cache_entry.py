"""Answers as they are stored, and which are."""

import pytest

from gateway.cache_entry import SHORT, Malformed, decode, encode, is_fit
from serving.contract.approvals import new_ask_id
from serving.contract.calls import (
    Chunk,
    EngineTimes,
    FinishReason,
    SequenceState,
    Timings,
    TokenLogprob,
    Usage,
)
from serving.contract.guardrails import Action, Stage, Verdict
from serving.contract.tools import ToolCallDelta

VERDICT = Verdict("personal", Stage.OUTPUT, Action.REDACT, 0.5, "p@1", "email", 0, 1, 2)
LAST = Chunk(
    index=1,
    finish_reason=FinishReason.STOP,
    usage=Usage(3, 2, 1),
    cum_logprob=-1.5,
)
CHUNKS = [
    Chunk(text="a"),
    Chunk(text="é", index=1, logprobs=(TokenLogprob(7, b"\xc3", -0.25),)),
    Chunk(reasoning="why"),
    Chunk(tool_calls=(ToolCallDelta(0, "call_1", "read", '{"a":'),)),
    Chunk(verdicts=(VERDICT,)),
    LAST,
]


def test_an_answer_comes_back_in_its_pieces():
    assert decode(encode(CHUNKS)) == CHUNKS


def test_what_is_true_of_one_request_only_is_left_out():
    times = {"timings": Timings(1, 2, 3), "engine_times": EngineTimes(1, 2, 3, 4)}
    said = [
        Chunk(state=SequenceState.WAITING),
        Chunk(usage=Usage(3, 1)),
        Chunk(text="a", usage=Usage(3, 1)),
        Chunk(text="b", finish_reason=FinishReason.STOP, **times),
    ]
    assert decode(encode(said)) == [Chunk(text="a"), Chunk(text="b", finish_reason="stop")]


def test_a_long_answer_is_compressed():
    long = [Chunk(text=f"word {number % 9} ") for number in range(1000)] + [LAST]
    assert len(encode(long)) < SHORT
    assert decode(encode(long)) == long


@pytest.mark.parametrize("data", [b"", b"j", b"j{}x", b"x[]", b"z\x00", b'j[{"no":1}', b"j[1]"])
def test_what_nobody_wrote_is_no_answer(data):
    with pytest.raises(Malformed):
        decode(data)


def last(reason: FinishReason) -> Chunk:
    return Chunk(finish_reason=reason)


@pytest.mark.parametrize("reason", FinishReason)
def test_only_what_ended_well_is_kept(reason):
    assert is_fit([last(reason)], 1) is (reason in ("stop", "length", "tool_calls"))


def test_all_choices_have_to_be_there():
    assert not is_fit([last(FinishReason.STOP)], 2)
    assert is_fit([last(FinishReason.STOP), last(FinishReason.LENGTH)], 2)
    assert not is_fit([last(FinishReason.STOP), last(FinishReason.CONTENT_FILTER)], 2)


def test_a_call_that_waits_for_a_person_is_not_kept():
    asking = Chunk(tool_calls=(ToolCallDelta(0, new_ask_id(), "send"),))
    assert not is_fit([asking, last(FinishReason.TOOL_CALLS)], 1)
