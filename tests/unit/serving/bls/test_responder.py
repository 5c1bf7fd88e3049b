"""FINAL is sent exactly once, with the last chunk where there is one, on every path."""

from hypothesis import given
from hypothesis import strategies as st

from serving.bls.responder import Responder
from serving.contract.calls import Call, Chunk, FinishReason, TokenLogprob, Usage
from serving.contract.errors import ConchError, EngineFailed
from serving.contract.wire import decode_chunk

CALLS = st.builds(Call, text=st.just("p"), n=st.integers(1, 3), is_streamed=st.booleans())
# Which sequence speaks next; how far the answer gets is left to chance.
TURNS = st.lists(st.integers(0, 2), max_size=15)
ENDS = st.sampled_from([None, EngineFailed("broken"), "twice"])


class Sink:
    """Keeps what a client would get, and refuses what Triton would not survive."""

    def __init__(self):
        self.sent = []
        self.errors = []
        self.finals = 0

    def send(self, arrays, *, is_final):
        assert self.finals == 0
        self.sent.append((decode_chunk(arrays), is_final))
        self.finals += is_final

    def finish(self):
        assert self.finals == 0
        self.finals += 1

    def fail(self, error: ConchError):
        assert self.finals == 0
        self.errors.append(error)
        self.finals += 1


def chunks(call, turns):
    """Three chunks of each sequence, as far as `turns` go."""
    said = [0, 0, 0]
    for index in turns:
        if index < call.n and said[index] < 3:
            said[index] += 1
            reason = FinishReason.STOP if said[index] == 3 else None
            logprob = TokenLogprob(said[index], b"x", -1.0)
            yield Chunk(index, f"{index}{said[index]}", (logprob,), reason)


@given(CALLS, TURNS, ENDS)
def test_final_is_sent_exactly_once(call, turns, end):
    sink = Sink()
    responder = Responder(sink, call)
    for chunk in chunks(call, turns):
        responder.emit(chunk)
    is_whole = sink.finals == 1
    responder.finish(end if isinstance(end, ConchError) else None)
    if end == "twice":
        responder.finish()
        responder.finish(EngineFailed("late"))
    assert sink.finals == 1
    assert bool(sink.errors) == (isinstance(end, ConchError) and not is_whole)


@given(CALLS, TURNS)
def test_final_comes_with_the_last_chunk_of_the_last_sequence(call, turns):
    sink = Sink()
    responder = Responder(sink, call)
    given_chunks = list(chunks(call, [*turns, *[0, 1, 2] * 3]))
    for chunk in given_chunks:
        responder.emit(chunk)
    assert [is_final for _, is_final in sink.sent] == [False] * (len(sink.sent) - 1) + [True]


@given(CALLS, TURNS)
def test_every_sequence_gets_its_own_text_whole(call, turns):
    sink = Sink()
    responder = Responder(sink, call)
    for chunk in chunks(call, [*turns, *[0, 1, 2] * 3]):
        responder.emit(chunk)
    for index in range(call.n):
        mine = [chunk for chunk, _ in sink.sent if chunk.index == index]
        assert "".join(chunk.text for chunk in mine) == f"{index}1{index}2{index}3"
        assert [t.token_id for chunk in mine for t in chunk.logprobs] == [1, 2, 3]
        assert [chunk.finish_reason for chunk in mine].count(FinishReason.STOP) == 1
        assert len(mine) == (3 if call.is_streamed else 1)


def test_a_whole_answer_tells_before_it_what_it_has_used():
    sink = Sink()
    responder = Responder(sink, Call(text="p", n=2))
    so_far, at_last = Usage(3, 1), Usage(3, 2)
    responder.emit(Chunk(1, "a", usage=so_far))
    responder.emit(Chunk(1, "b", finish_reason=FinishReason.STOP, usage=at_last))
    assert sink.sent == [
        (Chunk(1, usage=so_far), False),
        (Chunk(1, "ab", finish_reason=FinishReason.STOP, usage=at_last), False),
    ]


def test_the_sequence_is_named_only_where_there_are_several():
    seen = []

    class Names(Sink):
        def send(self, arrays, *, is_final):
            seen.append(set(arrays))
            super().send(arrays, is_final=is_final)

    for n in (1, 2):
        Responder(Names(), Call(text="p", n=n, is_streamed=True)).emit(Chunk(0, "a"))
    assert ["sequence_index" in names for names in seen] == [False, True]
