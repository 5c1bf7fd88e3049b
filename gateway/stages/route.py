"""Route: which deployed model answers to a name."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from serving.contract.errors import ConchError, ModelNotFound, Unavailable
from serving.contract.principal import Principal

FRESH_S = 1.5
FAILED_S = 0.2
REMEMBERED_S = 60.0


@dataclass(frozen=True, slots=True)
class Model:
    """A model that clients may name. `created` is when this gateway first saw it, Unix time."""

    name: str
    created: int


class Catalogue:
    """The models that can answer, asked of Triton and remembered for a moment."""

    def __init__(self, list_models: Callable[[], Awaitable[tuple[str, ...]]]) -> None:
        self._list_models = list_models
        self._models: dict[str, Model] = {}
        self._failure: ConchError | None = None
        self._asked_s = float("-inf")
        self._lock = asyncio.Lock()
        self._last_seen: dict[str, float] = {}

    def recall(self, name: str) -> Model | None:
        """The model as it was last seen, however long ago."""
        return self._models.get(name)

    def forget(self, name: str) -> None:
        """The model has just refused a request as unknown: look it up again."""
        self._models.pop(name, None)
        self._asked_s = float("-inf")

    def was_seen(self, name: str) -> bool:
        """It was there within REMEMBERED_S, so it is probably being loaded again."""
        return time.monotonic() - self._last_seen.get(name, float("-inf")) < REMEMBERED_S

    async def models(self, *, fresh_s: float = FRESH_S) -> dict[str, Model]:
        """Every model by name, as it was at most `fresh_s` ago; raises Unavailable.

        Callers that meet share one question and its outcome, so a Triton that hangs costs each of
        them one timeout and not one for everybody in front of it.
        """
        async with self._lock:
            lifetime_s = fresh_s if self._failure is None else FAILED_S
            if time.monotonic() - self._asked_s > lifetime_s:
                await self._ask()
        if self._failure is not None:
            raise self._failure
        return self._models

    async def _ask(self) -> None:
        try:
            names = await self._list_models()
        except ConchError as error:
            self._failure = error
        else:
            self._models = {name: self._seen(name) for name in names}
            self._last_seen |= dict.fromkeys(names, time.monotonic())
            self._failure = None
        self._asked_s = time.monotonic()

    def _seen(self, name: str) -> Model:
        return self._models.get(name) or Model(name, int(time.time()))


async def route(name: str, principal: Principal, catalogue: Catalogue) -> Model:
    """The model that answers to `name`; ModelNotFound, or Unavailable where it was just there.

    One that the principal may not use is not there for it. A model seen before is not looked up
    again: Triton itself refuses one that has gone since.
    """
    if not principal.can_use(name):
        raise _not_found(name)
    model = catalogue.recall(name) or (await catalogue.models()).get(name)
    if model is None and catalogue.was_seen(name):
        raise Unavailable(f"model '{name[:64]}' is being loaded again; try again soon")
    if model is None:
        raise _not_found(name)
    return model


def _not_found(name: str) -> ModelNotFound:
    return ModelNotFound(
        f"model '{name[:64]}' is not deployed; GET /v1/models lists what is", param="model"
    )
