"""Where a request stands, by what its sequences have told."""

import pytest

from gateway.states import States
from serving.contract.calls import Chunk, FinishReason, SequenceState, TokenLogprob, Usage

RUNNING, WAITING, PAUSED = SequenceState.RUNNING, SequenceState.WAITING, SequenceState.PAUSED
LAST = Chunk(finish_reason=FinishReason.STOP)


def news(index: int, state: SequenceState) -> Chunk:
    return Chunk(index, state=state)


@pytest.mark.parametrize(
    ("chunks", "state"),
    [
        ((), RUNNING),
        ((Chunk(text="a"),), RUNNING),
        ((news(0, PAUSED),), PAUSED),
        ((news(0, WAITING),), WAITING),
        ((news(0, WAITING), news(0, RUNNING)), RUNNING),
        ((news(0, WAITING), news(1, PAUSED)), PAUSED),
        ((news(0, PAUSED), Chunk(1, text="b")), RUNNING),
        ((Chunk(text="a"), news(0, PAUSED)), PAUSED),
        ((news(0, PAUSED), LAST), RUNNING),
        (
            (Chunk(1, text="b"), news(0, WAITING), Chunk(1, finish_reason=FinishReason.STOP)),
            WAITING,
        ),
    ],
)
def test_a_request_runs_when_one_of_its_sequences_does(
    chunks: tuple[Chunk, ...], state: SequenceState
) -> None:
    states = States()
    for chunk in chunks:
        states.saw(chunk)
    assert states.of_request is state


def test_a_token_that_comes_late_is_not_news() -> None:
    states = States()
    for chunk in (Chunk(text="a"), news(0, WAITING), Chunk(text="b")):
        states.saw(chunk)
    assert states.of_request is WAITING


def test_only_what_has_nothing_of_the_answer_is_a_notice() -> None:
    assert news(0, PAUSED).is_notice
    assert Chunk(state=RUNNING, usage=Usage(1, 1)).is_notice
    for chunk in (
        Chunk(text="a"),
        Chunk(usage=Usage(1, 1)),
        Chunk(text="a", state=RUNNING),
        Chunk(logprobs=(TokenLogprob(1, b"", -1.0),), state=RUNNING),
        Chunk(finish_reason=FinishReason.STOP, state=RUNNING),
    ):
        assert not chunk.is_notice
