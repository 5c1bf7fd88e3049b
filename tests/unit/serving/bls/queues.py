"""Queues of a few places for tests."""

from serving.bls.queue import Queue
from serving.bls.scheduling.policy import ClassRules, Order, Policy
from serving.bls.scheduling.timeouts import TimeLimits
from serving.bls.turns import Turns

LONG_S = 3600.0
NO_LIMITS = TimeLimits(LONG_S, LONG_S, LONG_S)


def policy_of(places=8, *, tokens=1 << 30, max_waiting=8, order=Order.PREEMPT, **more):
    rules = ClassRules(0, places, max_waiting, more.pop("queue_timeout_s", LONG_S))
    more = {"unresumable": places, "min_run_s": 0.0} | more
    return Policy(places, tokens, (rules,) * 4, order=order, **more)


def queue_of(places=8, *, limits=NO_LIMITS, weights=None, on_change=lambda *_: None, **policy):
    turns = Turns(policy_of(places, **policy), on_change=on_change)
    return Queue(turns, limits, NO_LIMITS, weights or {})
