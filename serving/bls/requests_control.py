"""Operations on requests and on the queue: what an operator sees of them, and does to them."""

from collections.abc import Callable, Mapping

from serving.bls.scheduling.classes import RANKS
from serving.bls.scheduling.job import Entry, State
from serving.bls.scheduling.view import in_order, why
from serving.bls.turns import Turn, Turns
from serving.contract import control
from serving.contract.control import Operation, QueueStats, RequestItem
from serving.contract.errors import InvalidRequest, NotFound
from serving.contract.grant import CLASSES


def operate_on_requests(turns: Turns, operation: Operation) -> bytes:
    """The answer to an operation of `OPERATIONS`. Raises NotFound, Conflict or InvalidRequest."""
    return OPERATIONS[operation.op](turns, operation)


def _list(turns: Turns, _: Operation) -> bytes:
    return control.encode_requests(_items(turns, list(turns)))


def _show(turns: Turns, operation: Operation) -> bytes:
    return control.encode_requests(_items(turns, _named(turns, operation)))


def _pause(turns: Turns, operation: Operation) -> bytes:
    turns.pause(_named(turns, operation))
    return _show(turns, operation)


def _resume(turns: Turns, operation: Operation) -> bytes:
    turns.resume(_named(turns, operation))
    return _show(turns, operation)


def _cancel(turns: Turns, operation: Operation) -> bytes:
    turns.cancel(_named(turns, operation))
    return _show(turns, operation)


def _pause_class(turns: Turns, operation: Operation) -> bytes:
    turns.pause_class(_rank(operation))
    return control.encode_queue(stats(turns))


def _resume_class(turns: Turns, operation: Operation) -> bytes:
    turns.resume_class(_rank(operation))
    return control.encode_queue(stats(turns))


def _stats(turns: Turns, _: Operation) -> bytes:
    return control.encode_queue(stats(turns))


def _named(turns: Turns, operation: Operation) -> list[Turn]:
    named = turns.named(operation.id)
    if not named:
        raise NotFound(f"no request '{operation.id}' waits or runs; it may have ended")
    return named


def _rank(operation: Operation) -> int:
    if operation.class_name not in RANKS:
        raise InvalidRequest(
            f"'{operation.class_name}' is no class; there are {', '.join(CLASSES)}", param="control"
        )
    return RANKS[operation.class_name]


def stats(turns: Turns) -> QueueStats:
    """The queue as a whole."""
    scheduler = turns.scheduler
    counts, drain_s = scheduler.counts, scheduler.drain.interval_s
    return QueueStats(
        places=scheduler.policy.places,
        tokens=scheduler.policy.tokens,
        used_tokens=scheduler.room.tokens,
        waiting={name: scheduler.waiting_of(rank) for name, rank in RANKS.items()},
        running={name: scheduler.room.counts[rank] for name, rank in RANKS.items()},
        paused_classes=tuple(CLASSES[rank] for rank in sorted(scheduler.paused_ranks)),
        preemptions=counts.preemptions,
        resumes=counts.resumes,
        refusals=dict(counts.refusals),
        fairness=scheduler.service.fairness(turns.clock()),
        drain_per_s=1 / drain_s if drain_s else None,
    )


def _items(turns: Turns, shown: list[Turn]) -> list[RequestItem]:
    places = {entry: place for place, entry in enumerate(in_order(turns.scheduler), start=1)}
    shown.sort(key=lambda turn: (places.get(turn.entry, 0), turn.entry.job.arrived_s))
    return [_item(turns, turn, places.get(turn.entry)) for turn in shown]


def _item(turns: Turns, turn: Turn, place: int | None) -> RequestItem:
    entry, now_s = turn.entry, turns.clock()
    job = entry.job
    waited_s, halted_s = _times(entry, now_s)
    return RequestItem(
        id=job.id,
        index=turn.about.index,
        state=entry.state,
        class_name=CLASSES[job.rank],
        tenant=job.tenant,
        adapter=turn.about.adapter,
        session=turn.about.session,
        age_s=now_s - job.arrived_s,
        waited_s=waited_s,
        paused_s=halted_s,
        prompt_tokens=job.prompt_tokens,
        made_tokens=entry.made,
        max_tokens=job.max_tokens,
        preemptions=entry.preemptions,
        is_resumable=job.is_resumable,
        place=place,
        why=why(turns.scheduler, entry, place),
    )


def _times(entry: Entry, now_s: float) -> tuple[float, float]:
    """Waited, and preempted or paused, with what lasts still."""
    lasting_s = now_s - entry.since_s
    if entry.is_halted:
        return entry.waited_s, entry.halted_s + lasting_s
    if entry.state is State.WAITING:
        return entry.waited_s + lasting_s, entry.halted_s
    return entry.waited_s, entry.halted_s


OPERATIONS: Mapping[str, Callable[[Turns, Operation], bytes]] = {
    control.REQUESTS: _list,
    control.SHOW: _show,
    control.PAUSE: _pause,
    control.RESUME: _resume,
    control.CANCEL: _cancel,
    control.PAUSE_CLASS: _pause_class,
    control.RESUME_CLASS: _resume_class,
    control.QUEUE: _stats,
}
