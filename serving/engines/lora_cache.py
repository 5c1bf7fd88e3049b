"""Which adapters are resident, decided as TensorRT-LLM's LoRA cache decides it; pure.

A task is in use from the first request that names it to the end of the last one, and while it is
being loaded. Only tasks out of use make room, first the one that has been so for longest.
"""

from collections import OrderedDict
from dataclasses import dataclass


class LoraRefusedError(Exception):
    """The cache cannot serve the task; the message is TensorRT-LLM's, word for word."""


class TaskNotFoundError(LoraRefusedError):
    """Nobody has sent the weights, or they have been evicted."""

    def __init__(self, task_id: int) -> None:
        super().__init__(
            f"LoRA task {task_id} not found in cache. Please send LoRA weights with request"
        )


class CacheFullError(LoraRefusedError):
    """Every resident task is in use."""

    def __init__(self) -> None:
        super().__init__("Cache is full. There are no done tasks to evict")


@dataclass(frozen=True, slots=True)
class Placed:
    """What a request's arrival changed: a task that is to be loaded, and the one it drove out."""

    is_new: bool
    evicted: int | None = None


class LoraCache:
    """`places` task ids at most. Knows no weights: who calls it loads and drops them."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._users: dict[int, int] = {}
        self._done: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._users)

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._users

    def use(self, task_id: int, *, has_weights: bool) -> Placed:
        """A request for the task arrives, to be ended by `done`; a known id's weights are ignored.

        The load of a new one is a use of its own, to be ended by `done` or `drop`. Raises
        TaskNotFoundError or CacheFullError, and then nothing has changed.
        """
        if task_id in self._users:
            self._users[task_id] += 1
            self._done.pop(task_id, None)
            return Placed(is_new=False)
        if not has_weights:
            raise TaskNotFoundError(task_id)
        evicted = self._make_room()
        self._users[task_id] = 2
        return Placed(is_new=True, evicted=evicted)

    def done(self, task_id: int) -> None:
        """A request for the task has ended, or its load."""
        self._users[task_id] -= 1
        if self._users[task_id] == 0:
            self._done[task_id] = None

    def drop(self, task_id: int) -> None:
        """Forget a task whose weights proved useless, and all who use it."""
        del self._users[task_id]
        self._done.pop(task_id, None)

    def _make_room(self) -> int | None:
        if len(self._users) < self._places:
            return None
        if not self._done:
            raise CacheFullError
        evicted, _ = self._done.popitem(last=False)
        del self._users[evicted]
        return evicted
