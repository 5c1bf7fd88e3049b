"""The rules that the simulated engines are run by."""

from loadtests.settings import RefusedLoad
from loadtests.simulation.engine_model import EngineModel
from serving.bls.scheduling.policy import ClassRules, Order, Policy

# The defaults of the BLS model.
QUEUE_TIMEOUTS_S = {"interactive": 60, "standard": 300, "agent": 1800, "batch": 86400}
MAX_WAITING = 1024
HELD_SHARE = 0.25


def policy_of(model: EngineModel, order: Order, *, places: int, floor: int = 0) -> Policy:
    """The rules that a BLS model has by default, with a `floor` for the interactive class.

    Raises RefusedLoad when they are no rules that an engine can be run by.
    """
    try:
        return Policy(
            places=places,
            tokens=model.kv_tokens,
            classes=tuple(_rules(places, name, floor) for name in QUEUE_TIMEOUTS_S),
            unresumable=max(1, places // 2),
            order=order,
            held_tokens=int(model.kv_tokens * HELD_SHARE),
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
