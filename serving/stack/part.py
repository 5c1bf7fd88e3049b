"""One part of the stack: how it is started, asked for its health, and described to an operator."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """What is known of a part now."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep. `is_alive` and `is_ready`, which gets its pid, never raise.

    `warm_up` follows every start and raises StackError when the part is of no use as it stands.
    `stop_s` is how long it may take to end when asked to. `after_end` is called when no process of
    it is left.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    stop_s: float
    is_alive: Callable[[], Awaitable[bool]]
    is_ready: Callable[[int], Awaitable[bool]]
    warm_up: Callable[[], Awaitable[None]] = _nothing
    after_end: Callable[[], None] = lambda: None
