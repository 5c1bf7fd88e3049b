"""A BLS model's queue, as its config and the environment describe it."""

from collections.abc import Callable
from functools import partial

from serving.adapters.python_backend import ModelConfig, load_error, log_exception
from serving.bls.queue import Queue
from serving.bls.queue_metrics import QueueMetrics
from serving.bls.scheduling.classes import RANKS
from serving.bls.scheduling.policy import (
    HELD_PERCENT,
    MAX_WAITING,
    QUEUE_TIMEOUTS_S,
    UNRESUMABLE_PERCENT,
    ClassRules,
    Order,
    Policy,
)
from serving.bls.scheduling.timeouts import TimeLimits
from serving.bls.turns import Turns

UNLIMITED = 1 << 40
CAP_S = 86400


def load_queue(
    config: ModelConfig, metrics: QueueMetrics, on_change: Callable[[int, int], None]
) -> Queue:
    """Raises what Triton reports as the load's failure."""
    turns = Turns(
        _policy(config),
        on_change=on_change,
        on_start=metrics.started,
        show=metrics.show,
        on_error=partial(log_exception, "the queue"),
        hung_after_s=config.number("engine_hung_after_s", 90),
    )
    return Queue(turns, _timeouts(config), _caps(config), _weights(config))


def _policy(config: ModelConfig) -> Policy:
    places = _own_share(config, config.number("max_inflight", 64))
    tokens = _own_share(config, config.number("max_inflight_tokens", 0) or UNLIMITED)
    try:
        return Policy(
            places=places,
            tokens=tokens,
            classes=_rules(config, places),
            unresumable=max(
                1, places * config.number("unresumable_percent", UNRESUMABLE_PERCENT) // 100
            ),
            order=Order(config.text("scheduling", Order.PREEMPT)),
            aging_s=config.number("aging_s", 30),
            min_run_s=config.number("min_run_ms", 100) / 1e3,
            held_tokens=0 if tokens == UNLIMITED else tokens * HELD_PERCENT // 100,
            program_idle_s=config.number("program_idle_s", 30),
            max_paused_s=config.number("max_paused_s", 3600),
        )
    except ValueError as error:
        raise load_error(f"the queue of '{config.name}': {error}") from error


def _own_share(config: ModelConfig, number: int) -> int:
    """Instances of the model know nothing of each other, so each has its part of the engine."""
    return max(1, number // config.instances)


def _rules(config: ModelConfig, places: int) -> tuple[ClassRules, ...]:
    floors, shares = _named(config, "class_floors", RANKS), _named(config, "class_shares", RANKS)
    timeouts_s = QUEUE_TIMEOUTS_S | _named(config, "queue_timeouts_s", RANKS)
    max_waiting = _own_share(config, config.number("max_waiting", MAX_WAITING))
    return tuple(
        ClassRules(
            floor=int(floors.get(name, 0)) // config.instances,
            share=min(places, _own_share(config, int(shares.get(name, UNLIMITED)))),
            max_waiting=max_waiting,
            queue_timeout_s=timeouts_s[name],
        )
        for name in RANKS
    )


def _timeouts(config: ModelConfig) -> TimeLimits:
    return TimeLimits(
        total_s=config.number("timeout_s", CAP_S),
        ttft_s=config.number("ttft_timeout_s", CAP_S),
        idle_s=config.number("idle_timeout_s", 60),
    )


def _caps(config: ModelConfig) -> TimeLimits:
    return TimeLimits(
        total_s=config.number("max_timeout_s", CAP_S),
        ttft_s=config.number("max_ttft_timeout_s", CAP_S),
        idle_s=config.number("max_idle_timeout_s", 600),
    )


def _weights(config: ModelConfig) -> dict[str, float]:
    weights = _named(config, "tenant_weights")
    if wrong := [tenant for tenant, weight in weights.items() if weight <= 0]:
        raise load_error(f"'tenant_weights' of '{config.name}' must be above 0: {', '.join(wrong)}")
    return weights


def _named(config: ModelConfig, key: str, names: dict[str, int] | None = None) -> dict[str, float]:
    """`name=number` pairs with commas between; `names` are the ones there are."""
    pairs = [pair.partition("=") for pair in config.text(key, "").split(",") if pair]
    for name, _, number in pairs:
        if not number.replace(".", "", 1).isdigit() or (names and name.strip() not in names):
            known = f" ({', '.join(names)})" if names else ""
            raise load_error(
                f"'{key}' of '{config.name}' has '{name}={number}': it takes name=number pairs, "
                f"with commas between{known}"
            )
    return {name.strip(): float(number) for name, _, number in pairs}
