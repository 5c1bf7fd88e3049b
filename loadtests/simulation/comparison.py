"""The same work under each order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadtests.simulation.cluster import Case
from loadtests.simulation.engine import NEVER
from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.policies import policy_of
from loadtests.simulation.report import Report, report
from loadtests.simulation.request import Session
from loadtests.simulation.shards import simulate
from serving.bls.scheduling.policy import Order


@dataclass(frozen=True, slots=True)
class Setting:
    """Engines, places in each (the first `floor` of interactive requests only), and processes."""

    model: EngineModel
    places: int
    replicas: int
    floor: int = 0
    shards: int = 1
    processes: int = 1


def compare(
    setting: Setting, works: Sequence[tuple[Session, ...]], orders: Sequence[Order]
) -> list[list[Report]]:
    """For each of `works` a report of each order."""
    cases = [_case(setting, sessions, order) for sessions in works for order in orders]
    results = simulate(cases, shards=setting.shards, processes=setting.processes)
    reports = [
        report(case.policy.order, result, case.window_s)
        for case, result in zip(cases, results, strict=True)
    ]
    return [list(each) for each in _rows(reports, len(orders))]


def _case(setting: Setting, sessions: tuple[Session, ...], order: Order) -> Case:
    """The window ends with the last session that starts: what comes after is the end of a day."""
    policy = policy_of(setting.model, order, places=setting.places, floor=setting.floor)
    window_s = sessions[-1].starts_s or NEVER
    return Case(setting.model, policy, setting.replicas, sessions, window_s)


def _rows(reports: Sequence[Report], width: int) -> Iterable[Sequence[Report]]:
    return (reports[at : at + width] for at in range(0, len(reports), width))
