"""The queue as people see it: who goes in after whom, and why they do not yet. Pure."""

from collections.abc import Iterable
from heapq import heapify, heappop, heapreplace

from serving.bls.scheduling.classes import AGENT
from serving.bls.scheduling.fairness import PROMPT_COST
from serving.bls.scheduling.job import Entry, State
from serving.bls.scheduling.room import is_capped
from serving.bls.scheduling.scheduler import Scheduler


def in_order(scheduler: Scheduler) -> list[Entry]:
    """Those that wait, as they would be let in if nothing came and nothing aged."""
    if scheduler.is_fifo:
        return sorted(scheduler.lines, key=lambda entry: (entry.order_s, entry.turn))
    by_rank: dict[int, list[Entry]] = {}
    for entry in scheduler.lines:
        by_rank.setdefault(entry.job.rank, []).append(entry)
    return [entry for rank in sorted(by_rank) for entry in _taking_turns(scheduler, by_rank[rank])]


def _taking_turns(scheduler: Scheduler, entries: list[Entry]) -> Iterable[Entry]:
    """Tenants of one class, each as often as its counter allows."""
    by_tenant: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=_within_tenant, reverse=True):
        by_tenant.setdefault(entry.job.tenant, []).append(entry)
    heap = [(scheduler.lines.counter(mine[-1]), name) for name, mine in by_tenant.items()]
    heapify(heap)
    while heap:
        counter, tenant = heap[0]
        entry = by_tenant[tenant].pop()
        yield entry
        cost = 0.0 if entry.stops else PROMPT_COST * entry.job.prompt_tokens / entry.job.weight
        if by_tenant[tenant]:
            heapreplace(heap, (counter + cost, tenant))
        else:
            heappop(heap)


def _within_tenant(entry: Entry) -> tuple[bool, float, int]:
    return not entry.has_begun, entry.order_s, entry.turn


def why(scheduler: Scheduler, entry: Entry, place: int | None) -> str:
    """Why it does not run, in words; "" when it does."""
    match entry.state:
        case State.PAUSED:
            return "its class is paused" if entry.is_class_paused else "paused by an operator"
        case State.STOPPING:
            is_pausing = entry.is_to_pause or entry.is_class_paused
            return "is being paused" if is_pausing else "makes room for an interactive request"
        case State.WAITING:
            return _why_waiting(scheduler, entry, place or 1)
    return ""


def _why_waiting(scheduler: Scheduler, entry: Entry, place: int) -> str:
    room, rank = scheduler.room, entry.job.rank
    if room.free_places(rank) <= 0:
        reason = "the engine is full, or its class has its share"
    elif not room.is_open(rank, capped=is_capped(entry)):
        reason = "agent and batch work that cannot be stopped has its share"
    elif not room.holds(entry, scheduler.programs.held_tokens if rank >= AGENT else 0):
        reason = f"there is no room for its {entry.job.tokens} tokens"
    else:
        reason = "its turn is next"
    return reason if place == 1 else f"{place - 1} before it; {reason}"
