"""What a BLS model's queue reports to Triton's metrics endpoint, at most every so often."""

from collections.abc import Callable
from dataclasses import dataclass, field

from serving.bls.metrics import Families, Observe
from serving.bls.scheduling.job import Entry
from serving.bls.scheduling.scheduler import Scheduler
from serving.contract.grant import CLASSES

_MS_BUCKETS = (1, 5, 10, 50, 100, 500, 1000, 5000, 10000, 30000, 60000, 300000, 1200000)
_REASONS = ("queue_full", "expired", "saturated", "cancelled")


@dataclass(slots=True)
class _Total:
    """A counter of Triton's, which takes increments, for a number that only grows."""

    increment: Observe
    told: float = 0.0

    def show(self, value: float) -> None:
        if value > self.told:
            self.increment(value - self.told)
            self.told = value


@dataclass(slots=True)
class _Level:
    """A gauge of Triton's, told of changes only: each telling costs a message."""

    set: Observe
    told: float | None = field(default=None)

    def show(self, value: float) -> None:
        if value != self.told:
            self.set(value)
            self.told = value


class QueueMetrics:
    """One model's."""

    def __init__(self, families: Families, model: str) -> None:
        counter, gauge, histogram = families.counter, families.gauge, families.histogram
        by_class = [{"class": name} for name in CLASSES]
        self._waits_ms = [
            histogram("conch_queue_wait_ms", "Wait for the first start", model, _MS_BUCKETS, **of)
            for of in by_class
        ]
        self._depths = [
            _Level(gauge("conch_queue_depth", "Sequences that are not in the engine", model, **of))
            for of in by_class
        ]
        self._places = [
            _Level(gauge("conch_class_running", "Sequences in the engine, by class", model, **of))
            for of in by_class
        ]
        self._paused = _Level(gauge("conch_requests_paused", "Sequences that are paused", model))
        self._fairness = _Level(
            gauge("conch_fairness", "Jain's index over tenants that had to wait", model)
        )
        self._preemptions = _total(counter, "preemptions", "Sequences stopped for others", model)
        self._resumes = _total(counter, "resumes", "Sequences that went on after a stop", model)
        self._resent = _total(
            counter, "resent_tokens", "Tokens sent to the engine again by resumes", model
        )
        self._refusals = {
            reason: _total(counter, "refusals", "Requests refused", model, reason=reason)
            for reason in _REASONS
        }

    def started(self, entry: Entry) -> None:
        """A sequence goes into the engine for the first time."""
        self._waits_ms[entry.job.rank](entry.waited_s * 1e3)

    def show(self, scheduler: Scheduler, now_s: float) -> None:
        """Bring everything else up to date."""
        for rank, (depth, places) in enumerate(zip(self._depths, self._places, strict=True)):
            depth.show(scheduler.waiting_of(rank))
            places.show(scheduler.room.counts[rank])
        self._paused.show(len(scheduler.paused))
        self._fairness.show(round(scheduler.service.fairness(now_s), 3))
        counts = scheduler.counts
        self._preemptions.show(counts.preemptions)
        self._resumes.show(counts.resumes)
        self._resent.show(counts.resent_tokens)
        for reason, total in self._refusals.items():
            total.show(counts.refusals[reason])


def _total(
    counter: Callable[..., Observe], name: str, description: str, model: str, **labels: str
) -> _Total:
    return _Total(counter(f"conch_{name}_total", description, model, **labels))
