"""Embed: the texts of one request to Triton, in parts that it can batch with those of others."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from gateway.stages.route import Model
from serving.adapters.triton import Triton
from serving.adapters.triton_embedding import Embedded, embed
from serving.contract.task_errors import bare_errors

PART_TEXTS = 32
# Of one request at a time: who sends thousands of texts leaves room for who sends one.
PARTS_AT_ONCE = 4


async def embedded(
    triton: Triton,
    model: Model,
    texts: Sequence[str],
    request_id: str,
    on_part: Callable[[int, Embedded], None],
) -> Embedded:
    """All of them, in order; `on_part` hears of each part when it is there. Raises ConchError.

    Cancelling it cancels the parts that run.
    """
    places = asyncio.Semaphore(PARTS_AT_ONCE)

    async def part(first: int) -> Embedded:
        async with places:
            asked = texts[first : first + PART_TEXTS]
            made = await embed(triton, model.name, asked, request_id)
        on_part(first, made)
        return made

    with bare_errors():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part(first)) for first in range(0, len(texts), PART_TEXTS)]
    return _joined([task.result() for task in tasks])


def _joined(parts: Sequence[Embedded]) -> Embedded:
    return Embedded(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.token_counts for part in parts]),
        np.concatenate([part.is_truncated for part in parts]),
    )
