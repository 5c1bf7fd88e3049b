"""The rules of one engine's queue."""

from dataclasses import dataclass
from enum import StrEnum

from serving.bls.scheduling.classes import RANKS

# What a BLS model goes by where it is not told.
MAX_WAITING = 1024
# Interactive requests are worth nothing later; batch work has all day.
QUEUE_TIMEOUTS_S = {"interactive": 60, "standard": 300, "agent": 1800, "batch": 86400}
UNRESUMABLE_PERCENT = 50
HELD_PERCENT = 25  # of the tokens, for programs


class Order(StrEnum):
    """FIFO knows no classes and no tenants; PRIORITY waits its turn; PREEMPT does not always."""

    FIFO = "fifo"
    PRIORITY = "priority"
    PREEMPT = "preempt"


@dataclass(frozen=True, slots=True)
class ClassRules:
    """`floor`: places that only this class gets. `share`: how many it may hold at most."""

    floor: int
    share: int
    max_waiting: int
    queue_timeout_s: float


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `places` sequences of `tokens` (prompt and answer) are in the engine.

    `unresumable` places are for agent and batch work that cannot be stopped once it has begun.
    Who waits for `aging_s` for each class above its own gets one place in `aged_every`.
    Nobody is stopped before it ran for `min_run_s`, the same one twice in a row not before
    `again_after_s`, and who came in by its age not before `aging_s`. The prefix of a program (the
    calls of one agent run) is spared for `program_idle_s` after a call, as long as all of these
    prefixes have `held_tokens` at most. What is paused or preempted comes back within
    `max_paused_s`, or ends.
    """

    places: int
    tokens: int
    classes: tuple[ClassRules, ...]
    unresumable: int
    order: Order = Order.PREEMPT
    aging_s: float = 30.0
    aged_every: int = 8
    min_run_s: float = 0.1
    again_after_s: float = 5.0
    held_tokens: int = 0
    program_idle_s: float = 30.0
    max_paused_s: float = 3600.0

    def __post_init__(self) -> None:
        if len(self.classes) != len(RANKS):
            raise ValueError(f"{len(self.classes)} classes have rules, {len(RANKS)} need some")
        floors = sum(rules.floor for rules in self.classes)
        if floors > self.places:
            raise ValueError(f"the floors of the classes are {floors} of {self.places} places")
        for name, rules in zip(RANKS, self.classes, strict=True):
            if rules.floor > rules.share:
                raise ValueError(
                    f"the floor of class '{name}' is {rules.floor}, and its share {rules.share}"
                )
            if min(rules.share, self.places - floors + rules.floor) < 1:
                raise ValueError(
                    f"class '{name}' could never run: its share is {rules.share}, and the floors "
                    f"of the others are {floors - rules.floor} of {self.places} places"
                )
        if self.unresumable < 1:
            raise ValueError("work that cannot be stopped could never run with no place for it")
