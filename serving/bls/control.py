"""Operations on the model itself, for whoever has a grant that allows it."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import orjson

from serving.bls.adapter import Adapter
from serving.bls.adapter_choice import Adapters
from serving.bls.pipeline import Model
from serving.bls.requests_control import OPERATIONS, operate_on_requests
from serving.contract import control
from serving.contract.control import AdapterItem, Operation
from serving.contract.errors import Conflict, Forbidden, UnsupportedParameter


async def operate(model: Model, text: str, grant: str | None, request_id: str) -> bytes:
    """The answer to one operation, JSON. Raises ConchError."""
    if not model.gate.check(grant, request_id).can_control:
        raise Forbidden("'control' needs a grant with can_control", param="control")
    operation = control.parse_operation(text)
    if operation.op in OPERATIONS:
        return operate_on_requests(model.queue.turns, operation)
    if model.adapters is None:
        if operation.op == control.LIST:
            return control.encode_list([])
        raise UnsupportedParameter("the engine of this model takes no adapters", param="control")
    return await _OPERATIONS[operation.op](model.adapters, operation)


async def _list(adapters: Adapters, _: Operation) -> bytes:
    return control.encode_list([_item(adapters, each) for each in adapters.registry.all()])


async def _add(adapters: Adapters, operation: Operation) -> bytes:
    return _changed(adapters, await adapters.registry.add(operation.name, Path(operation.path)))


async def _remove(adapters: Adapters, operation: Operation) -> bytes:
    await adapters.registry.remove(operation.name)
    return orjson.dumps({"name": operation.name, "is_removed": True})


async def _pin(adapters: Adapters, operation: Operation) -> bytes:
    adapter = adapters.registry.named(operation.name)
    others = adapters.registry.pinned().keys() - {adapter.task_id}
    if len(others) + 1 >= adapters.mirror.capacity:
        raise Conflict(
            f"the engine holds {adapters.mirror.capacity} adapters and {len(others)} are pinned "
            "already: one place must be left for the others; unpin one, or raise lora_max_adapters"
        )
    return _changed(adapters, await adapters.registry.pin(operation.name))


async def _unpin(adapters: Adapters, operation: Operation) -> bytes:
    return _answer(adapters, await adapters.registry.unpin(operation.name))


async def _warm(adapters: Adapters, operation: Operation) -> bytes:
    adapter = adapters.registry.named(operation.name)
    await adapters.pool.warm(adapter)
    return _answer(adapters, adapter)


async def _stats(adapters: Adapters, _: Operation) -> bytes:
    return orjson.dumps(
        {
            "capacity": adapters.mirror.capacity,
            "resident": len(adapters.mirror),
            "waiting": adapters.room.waiting,
            **adapters.pool.counts(),
        }
    )


def _changed(adapters: Adapters, adapter: Adapter) -> bytes:
    if adapter.stored.is_pinned:
        adapters.pool.doubt.set()  # whoever keeps the pinned ones loads it
    return _answer(adapters, adapter)


def _answer(adapters: Adapters, adapter: Adapter) -> bytes:
    return orjson.dumps(_item(adapters, adapter))


def _item(adapters: Adapters, adapter: Adapter) -> AdapterItem:
    return adapter.item(is_resident=adapters.mirror.is_resident(adapter.task_id))


_OPERATIONS: Mapping[str, Callable[[Adapters, Operation], Awaitable[bytes]]] = {
    control.LIST: _list,
    control.ADD: _add,
    control.REMOVE: _remove,
    control.PIN: _pin,
    control.UNPIN: _unpin,
    control.WARM: _warm,
    control.STATS: _stats,
}
