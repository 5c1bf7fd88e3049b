"""The scheduler under a simulated clock: everybody ends once, and the orders differ as they say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from loadtests.settings import RefusedLoad
from loadtests.simulation.arrivals import Arrivals, times
from loadtests.simulation.cluster import Case
from loadtests.simulation.comparison import Setting, compare
from loadtests.simulation.decisions import order_of_decisions
from loadtests.simulation.engine_model import EngineModel
from loadtests.simulation.fairness import fair_shares
from loadtests.simulation.policies import policy_of
from loadtests.simulation.report import report
from loadtests.simulation.shards import simulate
from loadtests.simulation.workload import Workload, at_load
from serving.bls.scheduling.job import Job
from serving.bls.scheduling.policy import Order
from serving.bls.scheduling.scheduler import Act

MODEL = EngineModel(0.004, 0.0005, 4e-7, 5e-5, 1e-8, start_s=0.004, stop_s=0.002)
PLACES = 8


def case(order: Order, *, load: float = 1.2, requests: int = 600, replicas: int = 2) -> Case:
    work = Workload(requests, seed=3).sessions()
    sessions = at_load(work, load, model=MODEL, places=PLACES, replicas=replicas)
    policy = policy_of(MODEL, order, places=PLACES)
    return Case(MODEL, policy, replicas, sessions, sessions[-1].starts_s)


@pytest.mark.parametrize("order", Order)
def test_every_request_ends_once(order: Order) -> None:
    overloaded = case(order, load=3.0)
    (result,) = simulate([overloaded])
    calls = Counter(each.request.id for each in result.outcomes)
    assert set(calls.values()) == {1}
    assert all(each.ends == 1 for each in result.outcomes)
    for session in overloaded.sessions:
        came = [call.id in calls for call in session.calls]
        refused = [each for each in result.outcomes if each.request.id in _ids(session)]
        assert came == sorted(came, reverse=True)
        assert all(came) or any(each.refusal for each in refused)
    for each in result.outcomes:
        assert each.refusal is not None or each.made == each.request.answer_tokens


def _ids(session):
    return {call.id for call in session.calls}


def test_the_same_case_gives_the_same_figures_whatever_runs_it() -> None:
    sharded = [case(order, requests=200) for order in (Order.FIFO, Order.PREEMPT)]
    alone = simulate(sharded, shards=2, processes=1)
    together = simulate(sharded, shards=2, processes=2)
    assert alone == together


def test_no_replica_is_left_for_a_shard() -> None:
    with pytest.raises(RefusedLoad, match="2 replicas cannot be cut in 3 shards"):
        simulate([case(Order.FIFO, requests=10)], shards=3)


def test_preemption_helps_the_interactive_at_little_cost() -> None:
    setting = Setting(MODEL, PLACES, 1)
    work = at_load(Workload(700, seed=3).sessions(), 1.3, model=MODEL, places=PLACES, replicas=1)
    ((fifo, priority, preempt),) = compare(setting, [work], list(Order))
    p99 = {each.order: each.classes[0].ttft_s[2] for each in (fifo, priority, preempt)}
    assert p99["preempt"] < 0.7 * p99["priority"] < 0.7 * 0.2 * p99["fifo"]
    assert fifo.preemptions == priority.preemptions == 0 < preempt.preemptions
    assert preempt.recomputed_tokens < 0.3 * preempt.resent_tokens
    assert preempt.goodput > fifo.goodput


def test_fifo_serves_by_demand_and_the_others_by_fair_share() -> None:
    work = Workload(800, mix={"standard": 1.0}, seed=1).sessions()
    work = at_load(work, 2.0, model=MODEL, places=PLACES, replicas=1)
    ((fifo, priority),) = compare(Setting(MODEL, PLACES, 1), [work], [Order.FIFO, Order.PRIORITY])
    assert fifo.jain < 0.95 < priority.jain


def test_more_reserved_places_than_there_are_is_refused() -> None:
    with pytest.raises(RefusedLoad, match="--places 2 --floor 3: "):
        policy_of(MODEL, Order.FIFO, places=2, floor=3)


def test_fair_shares_give_nobody_more_than_wanted() -> None:
    assert fair_shares({"a": 10, "b": 2, "c": 6}, 12) == {"a": 5, "b": 2, "c": 5}


def test_order_of_decisions_has_the_victim_and_its_return() -> None:
    policy = replace(policy_of(MODEL, Order.PREEMPT, places=1), min_run_s=0.05)
    work = Job("work", "a", 3, 100, 200, 0.0)
    chat = Job("chat", "b", 0, 50, 20, 0.5)
    assert order_of_decisions([(chat, 20), (work, 200)], policy, MODEL) == [
        (Act.ADMIT, "work"),
        (Act.STOP, "work"),
        (Act.ADMIT, "chat"),
        (Act.ADMIT, "work"),
    ]


@pytest.mark.parametrize("arrivals", Arrivals)
def test_arrivals_come_at_their_rate(arrivals: Arrivals) -> None:
    moments = times(arrivals, 20_000, np.random.default_rng(0))
    assert (np.diff(moments) >= 0).all()
    assert moments[-1] == pytest.approx(20_000, rel=0.2)


def test_figures_count_what_was_asked() -> None:
    loaded = case(Order.PREEMPT, load=0.5)
    (result,) = simulate([loaded])
    figures = report("preempt", result, float("inf"))
    assert figures.requests == figures.answered == 600
    assert sum(each.requests for each in figures.classes) == 600
    assert figures.tokens_per_s > 0
