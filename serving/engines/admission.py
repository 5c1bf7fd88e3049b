"""Which waiting sequences start now: one budget over all pipelines, and each pipeline's own; pure.

Nothing starts that might not fit to its end (TensorRT-LLM's `guaranteed_no_evict`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Task = int | None  # an adapter's task id; None is the base model


@dataclass(frozen=True, slots=True)
class Room:
    """What is free: blocks of the KV cache and places in the running batch."""

    blocks: int
    places: int

    def holds(self, blocks: int) -> bool:
        return self.places > 0 and blocks <= self.blocks

    def without(self, blocks: int) -> "Room":
        return Room(self.blocks - blocks, self.places - 1)


def choose(waiting: Iterable[tuple[Task, int]], shared: Room, own: Mapping[Task, Room]) -> set[int]:
    """Positions of those of `waiting` (task, blocks) that start, in their order of arrival.

    Who does not fit into the shared budget holds up all behind him, so that a large one is not
    passed for ever. Who waits for his own pipeline, full or not there yet, holds up only those who
    wait for the same.
    """
    chosen: set[int] = set()
    rooms = dict(own)
    for position, (task, blocks) in enumerate(waiting):
        if task not in rooms:
            continue
        if not shared.holds(blocks):
            break
        if not rooms[task].holds(blocks):
            del rooms[task]
            continue
        rooms[task], shared = rooms[task].without(blocks), shared.without(blocks)
        chosen.add(position)
    return chosen
