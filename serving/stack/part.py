"""One part of the stack: how it is started, asked for its health, and described to an operator."""

import signal
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

    `prepare` comes before every start and `warm_up` after it; both raise StackError when the part
    is of no use as it stands. A stack comes up without a part that is not vital, and goes on trying
    to start it. It runs as `user`, where there is one. `stop_signal` asks it to end,
    for which it has `stop_s`. `after_end` is called when no process of it is left.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    stop_s: float
    is_alive: Callable[[], Awaitable[bool]]
    is_ready: Callable[[int], Awaitable[bool]]
    is_vital: bool = True
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    prepare: Callable[[], Awaitable[None]] = _nothing
    warm_up: Callable[[], Awaitable[None]] = _nothing
    after_end: Callable[[], None] = lambda: None
