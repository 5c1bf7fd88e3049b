"""Agent programs: calls of one run, between which tools work. Their turn and prefix are kept."""

from collections import OrderedDict
from dataclasses import dataclass

MAX_PROGRAMS = 10_000


@dataclass(slots=True)
class _Program:
    started_s: float
    open_calls: int = 0
    held_tokens: int = 0
    idle_s: float = 0.0


class Programs:
    """A program lives while a call of it is open, and for `idle_s` after its last call.

    At rest it holds the tokens of its last call, all at rest together at most `max_held`: the
    engine's cache keeps what was used last as long as nothing else needs the room.
    """

    def __init__(self, idle_s: float, max_held: int) -> None:
        self._idle_s = idle_s
        self._max_held = max_held
        self._open: dict[str, _Program] = {}
        self._resting: OrderedDict[str, _Program] = OrderedDict()  # who rests longest comes first
        self._holding: OrderedDict[str, _Program] = OrderedDict()  # those of them with a prefix
        self.held_tokens = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._resting)

    def enter(self, name: str, now_s: float) -> float:
        """A call has come; when its program started."""
        self.expire(now_s)
        program = self._open.get(name) or self._resting.pop(name, None) or _Program(now_s)
        self._release(name)
        program.open_calls += 1
        self._open[name] = program
        return program.started_s

    def leave(self, name: str, tokens: int, now_s: float) -> None:
        """A call has ended, with so many tokens of prompt and answer."""
        program = self._open[name]
        program.open_calls -= 1
        if program.open_calls:
            return
        del self._open[name]
        program.idle_s, program.held_tokens = now_s, tokens
        self._resting[name] = self._holding[name] = program
        self.held_tokens += tokens
        self._bound()

    def expire(self, now_s: float) -> None:
        """Forget those that rest for too long."""
        while (next_s := self.next_s()) is not None and next_s <= now_s:
            self._forget_first()

    def next_s(self) -> float | None:
        """When one will have rested for too long, if it goes on resting."""
        first = next(iter(self._resting.values()), None)
        return None if first is None else first.idle_s + self._idle_s

    def _bound(self) -> None:
        """Who has rested longest loses its prefix first, and then its turn."""
        while self.held_tokens > self._max_held:
            self._release(next(iter(self._holding)))
        if len(self._resting) > MAX_PROGRAMS:
            self._forget_first()

    def _forget_first(self) -> None:
        self._release(self._resting.popitem(last=False)[0])

    def _release(self, name: str) -> None:
        """Its prefix, if it has one."""
        program = self._holding.pop(name, None)
        if program is not None:
            self.held_tokens -= program.held_tokens
