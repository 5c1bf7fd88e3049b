"""The rules that the simulated engines are run by."""

from loadtests.settings import RefusedLoad
from loadtests.simulation.engine_model import EngineModel
from serving.bls.scheduling.policy import (
    HELD_PERCENT,
    MAX_WAITING,
    QUEUE_TIMEOUTS_S,
    UNRESUMABLE_PERCENT,
    ClassRules,
    Order,
    Policy,
)


def policy_of(model: EngineModel, order: Order, *, places: int, floor: int = 0) -> Policy:
    """The rules that a BLS model has by default, with a `floor` for the interactive class.

    Raises RefusedLoad when they are no rules that an engine can be run by.
    """
    try:
        return Policy(
            places=places,
            tokens=model.kv_tokens,
            classes=tuple(_rules(places, name, floor) for name in QUEUE_TIMEOUTS_S),
            unresumable=max(1, places * UNRESUMABLE_PERCENT // 100),
            order=order,
            held_tokens=model.kv_tokens * HELD_PERCENT // 100,
        )
    except ValueError as error:
        raise RefusedLoad(f"--places {places} --floor {floor}: {error}") from None


def _rules(places: int, name: str, floor: int) -> ClassRules:
    return ClassRules(
        floor=floor if name == "interactive" else 0,
        share=places,
        max_waiting=MAX_WAITING,
        queue_timeout_s=QUEUE_TIMEOUTS_S[name],
    )
