"""The stage that chooses the adapter: by name, or by tensors that the caller brings along."""

from dataclasses import dataclass

from serving.bls.adapter import Adapter, Arrays
from serving.bls.adapter_mirror import Mirror
from serving.bls.adapter_registry import Registry
from serving.bls.adapter_room import Room
from serving.bls.adapters import AdapterPool
from serving.contract.calls import Call
from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.contract.grant import Grant

# NVIDIA's inputs for callers that manage adapters themselves.
LORA_INPUTS = ("lora_task_id", "lora_weights", "lora_config")


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything about the adapters of one BLS model."""

    registry: Registry
    pool: AdapterPool
    mirror: Mirror
    room: Room


def choose(adapters: Adapters | None, call: Call, grant: Grant, lora: Arrays) -> Adapter | None:
    """None for the model as it is, and for a caller that brings `lora` along.

    Raises AdapterNotFound, InvalidRequest and UnsupportedParameter.
    """
    if lora:
        _check_own(adapters, call, lora)
        return None
    if call.adapter is None:
        return None
    if adapters is None:
        raise UnsupportedParameter(
            "the engine of this model takes no adapters; leave 'adapter' out", param="adapter"
        )
    return adapters.registry.choose(call.adapter, None if call.grant is None else grant)


def _check_own(adapters: Adapters | None, call: Call, lora: Arrays) -> None:
    """Numbers of named adapters are not theirs: with other weights they would stand for them."""
    if call.adapter is not None:
        raise InvalidRequest("'adapter' and 'lora_task_id' exclude one another", param="adapter")
    task = lora.get("lora_task_id")
    if task is None or task.size != 1:
        raise InvalidRequest("'lora_task_id' must have one element", param="lora_task_id")
    if adapters is not None and adapters.registry.has_task(int(task.flat[0])):
        raise InvalidRequest(
            "this 'lora_task_id' is that of an adapter with a name: use 'adapter'",
            param="lora_task_id",
        )
