"""An answer in pieces as the one chunk a choice that a client gets who wants it whole."""

from collections.abc import AsyncIterator

from gateway.kserve.whole import whole
from serving.contract.calls import Chunk, FinishReason, SequenceState, TokenLogprob, Usage
from serving.contract.tools import ToolCallDelta


async def told(*chunks: Chunk) -> list[Chunk]:
    async def each() -> AsyncIterator[Chunk]:
        for chunk in chunks:
            yield chunk

    return [chunk async for chunk in whole(each())]


async def test_pieces_become_one_chunk_a_choice():
    first, second = TokenLogprob(1, b"a", -1.0), TokenLogprob(2, b"b", -2.0)
    stop = {"finish_reason": FinishReason.STOP, "usage": Usage(1, 2)}
    assert await told(
        Chunk(text="a", logprobs=(first,)),
        Chunk(text="x", index=1),
        Chunk(text="b", logprobs=(second,)),
        Chunk(tool_calls=(ToolCallDelta(0, "c", "f", "{"),)),
        Chunk(tool_calls=(ToolCallDelta(0, None, None, "}"),)),
        Chunk(**stop),
        Chunk(text="y", index=1, **stop),
    ) == [
        Chunk(
            text="ab",
            logprobs=(first, second),
            tool_calls=(ToolCallDelta(0, "c", "f", "{}"),),
            **stop,
        ),
        Chunk(text="xy", index=1, **stop),
    ]


async def test_news_of_a_state_come_at_once():
    paused = Chunk(state=SequenceState.PAUSED)
    last = Chunk(text="a", finish_reason=FinishReason.STOP)
    assert await told(paused, last) == [paused, last]
