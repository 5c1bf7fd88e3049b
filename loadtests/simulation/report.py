"""What a simulation says of one order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from loadtests.simulation.cluster import Result
from loadtests.simulation.fairness import fairness
from loadtests.simulation.request import Outcome
from serving.contract.grant import CLASSES

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, slots=True)
class Target:
    """The time to the first token, and the mean time of each one after it."""

    ttft_s: float
    token_s: float

    def is_met(self, outcome: Outcome) -> bool:
        ttft_s, token_s = outcome.ttft_s, outcome.token_s
        if ttft_s is None or token_s is None:
            return False
        return ttft_s <= self.ttft_s and token_s <= self.token_s


TARGETS = (Target(0.25, 0.05), Target(1.0, 0.1), Target(10.0, 0.5), Target(600.0, float("inf")))


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Of one class; TTFTs in seconds at the `PERCENTILES`, None when there was no first token."""

    name: str
    requests: int
    ttft_s: tuple[float, float, float] | None
    goodput: float


@dataclass(frozen=True, slots=True)
class Report:
    """Of one order. `goodput`: the share of requests that met both targets of their class.

    `jain` is over the tenants of a class: what each was served within the window by its fair share
    of what the class was; the mean of the classes by what they were served.
    """

    order: str
    requests: int
    answered: int
    refusals: dict[str, int]
    tokens_per_s: float
    goodput: float
    jain: float
    preemptions: int
    resent_tokens: int
    recomputed_tokens: int
    read_tokens: int
    cached_tokens: int
    simulated_s: float
    classes: tuple[ClassReport, ...]


def report(order: str, result: Result, window_s: float) -> Report:
    outcomes = result.outcomes
    refusals = Counter(each.refusal for each in outcomes if each.refusal is not None)
    return Report(
        order=order,
        requests=len(outcomes),
        answered=len(outcomes) - refusals.total(),
        refusals=dict(sorted(refusals.items())),
        tokens_per_s=result.made / min(window_s, result.ended_s),
        goodput=_goodput(outcomes),
        jain=fairness(result, window_s),
        preemptions=result.preemptions,
        resent_tokens=result.resent,
        recomputed_tokens=result.recomputed,
        read_tokens=result.read,
        cached_tokens=result.cached,
        simulated_s=result.ended_s,
        classes=tuple(_classes(outcomes)),
    )


def _classes(outcomes: Sequence[Outcome]) -> Iterable[ClassReport]:
    for rank, name in enumerate(CLASSES):
        mine = [each for each in outcomes if each.request.rank == rank]
        if mine:
            yield ClassReport(name, len(mine), _ttft_s(mine), _goodput(mine))


def _ttft_s(outcomes: Iterable[Outcome]) -> tuple[float, float, float] | None:
    known = [each.ttft_s for each in outcomes if each.ttft_s is not None]
    if not known:
        return None
    p50, p90, p99 = np.percentile(known, PERCENTILES).tolist()
    return p50, p90, p99


def _goodput(outcomes: Sequence[Outcome]) -> float:
    return sum(TARGETS[each.request.rank].is_met(each) for each in outcomes) / len(outcomes)
