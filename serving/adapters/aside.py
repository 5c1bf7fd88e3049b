"""Work in threads that no stream of the event loop notices."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
PIECE = 250  # items of a few microseconds each: the thread holds the GIL for about a millisecond
FEW = 25  # not worth a thread


async def mapped(work: Callable[[Sequence[A]], Iterable[B]], items: Sequence[A]) -> list[B]:
    """`work` of all `items`, done piece by piece in a thread.

    A thread that computes keeps the event loop from its GIL for up to 5 ms at every turn; one whose
    work is over sooner does not.
    """
    if len(items) <= FEW:
        await asyncio.sleep(0)  # there may be many of few
        return list(work(items))
    done: list[B] = []
    for start in range(0, len(items), PIECE):
        done += await asyncio.to_thread(_worked, work, items[start : start + PIECE])
    return done


def _worked(work: Callable[[Sequence[A]], Iterable[B]], items: Sequence[A]) -> list[B]:
    return list(work(items))
