"""The adapters that models have, as their BLS models say, remembered as models are."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from gateway.stages.grant import not_taken, operator_grant
from gateway.stages.route import Catalogue, Model
from serving.adapters.triton import Triton
from serving.contract.control import LIST, Operation, decode_list, encode_operation
from serving.contract.errors import BadGrant, EngineFailed, InvalidRequest
from serving.contract.principal import Principal

# One that was added a moment ago is asked for by name at once, and by somebody who waits for it.
NAMED_FRESH_S = 0.25
# The label in metrics of a name that no list bounds: a gateway without a policy cannot list.
UNLISTED = "unlisted"
ListAdapters = Callable[[str], Awaitable[tuple[str, ...]]]
log: structlog.stdlib.BoundLogger = structlog.get_logger("adapters")


class Adapters:
    """Of deployed models only: whoever asks has routed the model. They raise what listing raises.

    Without a way to list them any name is passed on, and the BLS model decides.
    """

    def __init__(self, list_adapters: ListAdapters | None = None) -> None:
        self._list = list_adapters
        self._of: dict[str, Catalogue] = {}

    async def of(self, model: str) -> tuple[Model, ...]:
        """All of a model, in the order of their names."""
        if self._list is None:
            return ()
        found = await self._catalogue(model, self._list).models()
        return tuple(found[name] for name in sorted(found))

    async def has(self, model: str, adapter: str) -> bool:
        """One seen before is not looked up again: the BLS model refuses one that has gone since."""
        if self._list is None or self._is_known(model, adapter):
            return True
        return adapter in await self._catalogue(model, self._list).models(fresh_s=NAMED_FRESH_S)

    def label(self, model: str, adapter: str | None) -> str:
        """What metrics call it: a word of a bounded set."""
        if adapter is None:
            return ""
        return adapter if self._is_known(model, adapter) else UNLISTED

    def forget(self, model: str, adapter: str) -> None:
        """The BLS model has just refused it as unknown: look it up again."""
        if model in self._of:
            self._of[model].forget(adapter)

    def _is_known(self, model: str, adapter: str) -> bool:
        return model in self._of and self._of[model].recall(adapter) is not None

    def _catalogue(self, model: str, list_adapters: ListAdapters) -> Catalogue:
        if model not in self._of:
            self._of[model] = Catalogue(partial(list_adapters, model))
        return self._of[model]


def may_use(principal: Principal, adapter: str) -> bool:
    return principal.adapters is None or adapter in principal.adapters


async def list_adapters(triton: Triton, key: bytes, model: str) -> tuple[str, ...]:
    """Their names, as the BLS model says; none of one that knows no such question."""
    operation = encode_operation(Operation(LIST))
    grant, request_id = operator_grant(model, key)
    try:
        told = await triton.control(model, operation, grant=grant, request_id=request_id)
    except InvalidRequest as error:
        log.warning("adapters_not_listed", model=model, reason=error.message)
        return ()
    except BadGrant as error:
        log.error("grant_refused", model=model, reason=error.message)  # noqa: TRY400
        raise not_taken() from None
    return () if told is None else _names(told)


def _names(told: str) -> tuple[str, ...]:
    try:
        return tuple(item.name for item in decode_list(told))
    except (ValueError, KeyError, TypeError):
        raise EngineFailed("the model server lists its adapters in words of its own") from None
