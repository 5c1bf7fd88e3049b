"""Which version of a model and of an adapter would answer, as far as Triton tells."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

from gateway.stages.grant import operator_grant
from serving.adapters.triton import Triton
from serving.contract.control import LIST, Operation, decode_list, encode_operation
from serving.contract.errors import ConchError

FRESH_S = 1.5
MOST_REMEMBERED = 256
ENGINE = "engine"
Look = Callable[[], Awaitable[str | None]]


class Versions:
    """Asked of Triton, and remembered for `fresh_s`. None: nobody knows.

    A model's is a digest of its configuration and versions, and those of its engine. Weights that
    are put in place of others under the same name and the same configuration are not seen.
    """

    def __init__(self, triton: Triton, grant_key: bytes, *, fresh_s: float = FRESH_S) -> None:
        self._triton = triton
        self._grant_key = grant_key
        self._fresh_s = fresh_s
        self._known: dict[tuple[str, str | None], _Known] = {}

    async def of(
        self, model: str, adapter: str | None, *, since_s: float | None = None
    ) -> tuple[str, str] | None:
        """Of the model and the adapter, "" for none; None where either is not known.

        `since_s`: not asked for before that, by the monotonic clock.
        """
        of_model = await self._remembered((model, None), lambda: self._model(model), since_s)
        if of_model is None or adapter is None:
            return None if of_model is None else (of_model, "")
        key = model, adapter
        found = await self._remembered(key, lambda: self._adapter(model, adapter), since_s)
        return None if found is None else (of_model, found)

    async def _remembered(
        self, key: tuple[str, str | None], look: Look, since_s: float | None
    ) -> str | None:
        if key not in self._known and len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        if since_s is None:
            since_s = time.monotonic() - self._fresh_s
        return await self._known.setdefault(key, _Known()).value(look, since_s)

    async def _model(self, model: str) -> str:
        config = await self._triton.config(model)
        named: str = config.parameters[ENGINE].string_value or model
        digest = hashlib.sha256()
        for name in dict.fromkeys((model, named)):
            digest.update((await self._triton.config(name)).SerializeToString(deterministic=True))
            versions = sorted((await self._triton.metadata(name)).versions)
            digest.update(",".join(versions).encode())
        return digest.hexdigest()

    async def _adapter(self, model: str, adapter: str) -> str | None:
        grant, request_id = operator_grant(model, self._grant_key)
        operation = encode_operation(Operation(LIST))
        told = await self._triton.control(model, operation, grant=grant, request_id=request_id)
        if told is None:
            return None
        # The id is a digest of the weights and of what they were made for.
        ids = {item.name: f"{item.version}-{item.task_id}" for item in decode_list(told)}
        return ids.get(adapter)


class _Known:
    """One version, and when it was asked for; who asks meanwhile waits for the same answer."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._asked_s = float("-inf")
        self._value: str | None = None

    async def value(self, look: Look, since_s: float) -> str | None:
        if self._asked_s >= since_s:
            return self._value
        async with self._lock:
            if self._asked_s < since_s:
                await self._look(look)
        return self._value

    async def _look(self, look: Look) -> None:
        asked_s = time.monotonic()
        try:
            self._value = await look()
        except (ConchError, ValueError, KeyError, TypeError):
            self._value = None
        self._asked_s = asked_s
