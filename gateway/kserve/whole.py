"""An answer that is not streamed: one chunk a choice, in however many pieces it comes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import chain

from serving.contract.calls import Chunk
from serving.contract.tools import joined


async def whole(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    """Each choice when it ends; what only tells of a state comes at once."""
    pieces: dict[int, list[Chunk]] = {}
    async for chunk in chunks:
        if chunk.is_notice:
            yield chunk
            continue
        of_choice = pieces.setdefault(chunk.index, [])
        of_choice.append(chunk)
        if chunk.finish_reason is not None:
            yield of_choice[0] if len(of_choice) == 1 else _joined(of_choice)


def _joined(pieces: Sequence[Chunk]) -> Chunk:
    """The last has what is told at the end."""
    return replace(
        pieces[-1],
        text="".join(piece.text for piece in pieces),
        logprobs=tuple(chain.from_iterable(piece.logprobs for piece in pieces)),
        reasoning="".join(piece.reasoning for piece in pieces),
        tool_calls=joined(chain.from_iterable(piece.tool_calls for piece in pieces)),
        verdicts=tuple(chain.from_iterable(piece.verdicts for piece in pieces)),
    )
