"""The path of a request: identify → read → route → dispatch → stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.settings import GatewaySettings
from gateway.stages.auth import Keyring, identify
from gateway.stages.dispatch import dispatch
from gateway.stages.route import Catalogue, Model, route
from gateway.tally import Tally
from gateway.telemetry import Record
from serving.adapters.triton import Triton
from serving.contract.calls import Call, Chunk, FinishReason
from serving.contract.errors import Cancelled, EngineFailed, Expired, ModelNotFound, Unavailable


@dataclass(frozen=True, slots=True)
class Ask:
    """What a client wants: a model by name, and one call a prompt, all with the same `n`."""

    model: str
    calls: tuple[Call, ...]
    is_streamed: bool = False
    has_usage_event: bool = False

    @property
    def has_logprobs(self) -> bool:
        return self.calls[0].has_logprobs

    @property
    def choices_per_prompt(self) -> int:
        return self.calls[0].n


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets. `chunks` ends when every choice has ended, or raises ConchError."""

    ask: Ask
    model: Model
    tally: Tally
    chunks: AsyncIterator[Chunk]


class Caller(Protocol):
    """The client's side of a request."""

    @property
    def authorization(self) -> bytes | None: ...

    async def read(self) -> Ask:
        """What it asks; raises InvalidRequest."""

    def staying(self) -> AbstractAsyncContextManager[None]:
        """A block that ends with Cancelled as soon as the client hangs up."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What the stages work with."""

    settings: GatewaySettings
    keys: Keyring
    catalogue: Catalogue
    triton: Triton


@asynccontextmanager
async def answer(caller: Caller, record: Record, gate: Gate) -> AsyncIterator[Answer]:
    """Take one request to its model. Leaving the block, for any reason, frees all that it holds."""
    settings = gate.settings
    identify(caller.authorization, gate.keys)
    ask = await caller.read()
    async with caller.staying(), _deadline(settings.request_timeout_s):
        model = await route(ask.model, gate.catalogue)
        tally = Tally(ask.choices_per_prompt)
        record.routed(model.name, tally, is_streamed=ask.is_streamed)
        async with dispatch(
            gate.triton,
            model,
            ask.calls,
            record.request_id,
            concurrency=settings.prompt_concurrency,
        ) as chunks:
            yield Answer(ask, model, tally, _followed(chunks, record, gate.catalogue))


async def _followed(
    chunks: AsyncIterator[Chunk], record: Record, catalogue: Catalogue
) -> AsyncIterator[Chunk]:
    try:
        async for chunk in chunks:
            record.saw(chunk)
            if chunk.finish_reason is FinishReason.ERROR:
                raise EngineFailed("the engine ended this answer before it was complete")
            if chunk.finish_reason is FinishReason.CANCELLED:
                raise Cancelled("the request was cancelled at the model server")
            yield chunk
    except ModelNotFound:
        # It was there when the request was routed: a Triton that has come back loads it still.
        catalogue.forget(record.model)
        raise Unavailable("the model is being loaded again; try again soon") from None


@asynccontextmanager
async def _deadline(timeout_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise Expired(f"the request took longer than {timeout_s:g} s") from None
