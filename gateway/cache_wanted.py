"""What the response cache is asked for, and what it gives."""

from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from serving.adapters.response_cache import Place
from serving.contract.calls import Call, Chunk

NEVER_S = -1.0  # no answer is as young
Source = Callable[[Sequence[Call]], AbstractAsyncContextManager[AsyncIterator[Chunk]]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An answer that may come out of the cache.

    `versions` are those of the model and the adapter that would make it. `flight` is the same for
    all requests that may share one generation.
    """

    place: Place
    calls: tuple[Call, ...]
    model: str
    adapter: str | None
    versions: tuple[str, str]
    max_age_s: float
    ttl_s: float
    max_bytes: int
    tags: tuple[str, ...]
    flight: Hashable

    @property
    def choices(self) -> int:
        return sum(call.n for call in self.calls)


@dataclass(frozen=True, slots=True)
class Answered:
    """Out of the cache, from its first piece to its last."""

    chunks: list[Chunk]
    age_s: float
