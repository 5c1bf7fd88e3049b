"""The path of a request: identify → read → shape → prioritize → tie → choose → reserve → route →
look in the cache → dispatch → settle.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from gateway.ask import Ask
from gateway.clock import Clock, limited
from gateway.gate import Gate
from gateway.stages.auth import identify
from gateway.stages.cache import looked_up
from gateway.stages.choose import choose, not_found, served_name
from gateway.stages.dispatch import dispatch
from gateway.stages.grant import Signer, not_taken
from gateway.stages.guardrails import policy_of
from gateway.stages.passed_on import PassedOn, passing_on
from gateway.stages.priority import class_of, prioritize, unsigned
from gateway.stages.quota import noted, reserve
from gateway.stages.remember import remembered
from gateway.stages.route import Model, route
from gateway.stages.session import tie
from gateway.stages.shape import shape
from gateway.states import States
from gateway.tally import Tally
from gateway.telemetry import Record, log
from serving.contract.calls import Call, Chunk, FinishReason
from serving.contract.errors import (
    AdapterNotFound,
    BadGrant,
    Cancelled,
    ConchError,
    EngineFailed,
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
    states: States = field(default_factory=States)

    @property
    def name(self) -> str:
        """What answers: the model, or an adapter of it."""
        return served_name(self.model.name, self.ask.adapter)


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
    with understanding(gate, principal, record):
        asked = _scheduled(gate, principal, _shaped(gate, await caller.read()))
    record.asked(asked)
    record.prioritized(class_of(asked))
    async with caller.staying():
        with understanding(gate, principal, record):
            ask = await _chosen(gate, principal, asked)
            signer = await _signer(gate, principal, ask)
        async with (
            governed(gate, principal, ask, record),
            deadline(gate) as clock,  # within what is settled: its error is how the request ended
        ):
            model = await route(ask.model, principal, gate.catalogue)
            _routed(gate, model, ask, record)
            source = partial(_dispatched, gate, model, record.request_id, signer)
            async with looked_up(gate.cache, gate.directory, ask, signer, record, source) as chunks:
                followed = _followed(chunks, ask, record, gate, clock)
                with _passing_on(gate, principal, ask, signer) as passed:
                    seen = followed if passed is None else passed.watched(followed)
                    yield Answer(ask, model, record.tally, seen, clock.states)


def _dispatched(
    gate: Gate, model: Model, request_id: str, signer: Signer, calls: Sequence[Call]
) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
    concurrency = gate.settings.prompt_concurrency
    return dispatch(gate.triton, model, calls, request_id, signer, concurrency=concurrency)


def _shaped(gate: Gate, ask: Ask) -> Ask:
    return shape(ask, gate.runtime, gate.settings.default_max_tokens)


def _scheduled(gate: Gate, principal: Principal, ask: Ask) -> Ask:
    is_signed = gate.governance is not None
    classes = principal.classes if is_signed else unsigned(principal.classes)
    return tie(prioritize(ask, classes), principal.project or "")


async def _chosen(gate: Gate, principal: Principal, ask: Ask) -> Ask:
    rules = gate.runtime.adapter_rules
    async with deadline(gate):
        return await choose(ask, principal, rules, gate.catalogue, gate.adapters)


def understanding(gate: Gate, principal: Principal, record: Record) -> AbstractContextManager[None]:
    """What is refused within the block is accounted for, though it took no quota."""
    if gate.governance is None:
        return nullcontext()
    directory = gate.governance.policy.directory
    return noted(gate.governance.governor, directory, principal, record)


def _routed(gate: Gate, model: Model, ask: Ask, record: Record) -> None:
    label = gate.adapters.label(model.name, ask.adapter)
    record.routed(model.name, ask.adapter, label=label)


@asynccontextmanager
async def governed(
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


async def _signer(gate: Gate, principal: Principal, ask: Ask) -> Signer:
    """Says what it may do, by its guardrails and by what is known of its run of calls of tools."""
    policy, governance = policy_of(gate.directory, principal), gate.governance
    if governance is None:
        return Signer(None, principal, policy)
    run = await governance.tool_runs.known(principal, ask, policy.policy)
    return Signer(governance.grant_key, principal, policy, run)


def _passing_on(
    gate: Gate, principal: Principal, ask: Ask, signer: Signer
) -> AbstractContextManager[PassedOn | None]:
    runs = None if gate.governance is None else gate.governance.tool_runs
    return passing_on(runs, principal, ask, signer.guardrails.policy)


async def _followed(
    chunks: AsyncIterator[Chunk], ask: Ask, record: Record, gate: Gate, clock: Clock
) -> AsyncIterator[Chunk]:
    try:
        async for chunk in chunks:
            record.saw(chunk)
            clock.saw(chunk)
            if chunk.finish_reason is FinishReason.ERROR:
                raise EngineFailed("the engine ended this answer before it was complete")
            if chunk.finish_reason is FinishReason.CANCELLED:
                raise Cancelled("the request was cancelled at the model server")
            yield chunk
    except ModelNotFound:
        # It was there when the request was routed: a Triton that has come back loads it still.
        gate.catalogue.forget(record.model)
        raise Unavailable("the model is being loaded again; try again soon") from None
    except AdapterNotFound:
        raise _gone(gate, ask) from None
    except BadGrant as error:
        # The client has no part in it: the keys or the clocks of gateway and Triton differ.
        log.error("grant_refused", model=record.model, reason=error.message)
        raise not_taken() from None


def _gone(gate: Gate, ask: Ask) -> ConchError:
    """An adapter that was there when it was chosen. Its client need not know of one by rule."""
    adapter = ask.adapter or ""
    gate.adapters.forget(ask.model, adapter)
    if ask.adapter_param is None:
        return Unavailable("the adapter of this request was just removed; send it again")
    return not_found(ask.model, adapter, ask.adapter_param)


def deadline(gate: Gate) -> AbstractAsyncContextManager[Clock]:
    """A block that ends with Expired when a request has had its time."""
    timeout_s = gate.runtime.request_timeout_s or gate.settings.request_timeout_s
    return limited(timeout_s, gate.settings.paused_timeout_s)
