"""The path of a request: identify → read → shape → reserve → route → dispatch → settle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.ask import Ask
from gateway.gate import Gate
from gateway.stages.auth import identify
from gateway.stages.dispatch import dispatch
from gateway.stages.grant import Signer
from gateway.stages.quota import reserve
from gateway.stages.remember import remembered
from gateway.stages.route import Catalogue, Model, route
from gateway.stages.shape import shape
from gateway.tally import Tally
from gateway.telemetry import Record, log
from serving.contract.calls import Chunk, FinishReason
from serving.contract.errors import (
    BadGrant,
    Cancelled,
    EngineFailed,
    Expired,
    ModelNotFound,
    Unavailable,
)
from serving.contract.principal import Principal
from serving.identity.identify import Credentials


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
    def credentials(self) -> Credentials: ...

    async def read(self) -> Ask:
        """What it asks; raises InvalidRequest."""

    def staying(self) -> AbstractAsyncContextManager[None]:
        """A block that ends with Cancelled as soon as the client hangs up."""


@asynccontextmanager
async def answer(caller: Caller, record: Record, gate: Gate) -> AsyncIterator[Answer]:
    """Take one request to its model. Leaving the block, for any reason, frees all that it holds."""
    principal = await identify(caller.credentials, gate.gatekeeper)
    record.identified(principal)
    ask = shape(await caller.read(), gate.runtime, gate.settings.default_max_tokens)
    record.asked(ask)
    async with (
        caller.staying(),
        _governed(gate, principal, ask, record),
        _deadline(gate),  # within what is settled: its error is how the request ended
    ):
        model = await route(ask.model, principal, gate.catalogue)
        record.routed(model.name)
        async with dispatch(
            gate.triton,
            model,
            ask.calls,
            record.request_id,
            _signer(gate, principal),
            concurrency=gate.settings.prompt_concurrency,
        ) as chunks:
            yield Answer(ask, model, record.tally, _followed(chunks, record, gate.catalogue))


@asynccontextmanager
async def _governed(
    gate: Gate, principal: Principal, ask: Ask, record: Record
) -> AsyncIterator[None]:
    """Quota is taken before the block, and settled after it with what was used."""
    governance = gate.governance
    if governance is None:
        yield
        return
    directory = governance.policy.directory
    async with reserve(governance.governor, directory, principal, ask, record) as event:
        with remembered(governance.archive, directory, event, ask, record):
            yield


def _signer(gate: Gate, principal: Principal) -> Signer:
    return Signer(None if gate.governance is None else gate.governance.grant_key, principal)


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
    except BadGrant as error:
        # The client has no part in it: the keys or the clocks of gateway and Triton differ.
        log.error("grant_refused", model=record.model, reason=error.message)
        raise EngineFailed(
            "the model server does not take this gateway's grants: CONCH_GRANT_KEY and the clocks "
            "have to be the same at both"
        ) from None


@asynccontextmanager
async def _deadline(gate: Gate) -> AsyncIterator[None]:
    timeout_s = gate.runtime.request_timeout_s or gate.settings.request_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise Expired(f"the request took longer than {timeout_s:g} s") from None
