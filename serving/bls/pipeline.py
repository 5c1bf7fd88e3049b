"""A request's path inside Triton: grant → adapter → tools → prompt → its turn → engine → text."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import randbits

from serving.bls.adapter import Adapter
from serving.bls.adapter_choice import Adapters, choose
from serving.bls.answer import Answer, Progress
from serving.bls.engine import Arrays, Engine, new_request_id
from serving.bls.engine_tensors import Tokens, encode, requested_outputs
from serving.bls.grants import Gate
from serving.bls.language import Language, Prompt
from serving.bls.queue import Queue
from serving.bls.resumable import rest_of
from serving.bls.scheduling.classes import rank_of
from serving.bls.scheduling.job import State
from serving.bls.tools import offered
from serving.bls.turns import Turn
from serving.contract.calls import Call, Chunk, Sampling, SequenceState
from serving.contract.errors import EngineFailed, Expired
from serving.contract.grant import Grant
from serving.contract.task_errors import bare_errors

LONG_PROMPT = 10_000  # characters; about a millisecond of work
Emit = Callable[[Chunk], None]


@dataclass(frozen=True, slots=True)
class Model:
    """What one BLS model works with."""

    gate: Gate
    language: Language
    queue: Queue
    engine: Engine
    adapters: Adapters | None = None  # an engine that takes none


@dataclass(frozen=True, slots=True)
class Request:
    """One that was let in: what it asks, what it may do, and its prompt in tokens.

    `rank` is the class that counts, `seed` what a sampled answer goes on with where it is resumed.
    `lora` are tensors of an adapter that the caller brings along, under NVIDIA's names.
    """

    id: str
    call: Call
    grant: Grant
    adapter: Adapter | None
    prompt: Prompt
    sampling: Sampling
    rank: int
    lora: Arrays
    seed: int = field(default_factory=lambda: randbits(63))


async def answer(
    model: Model, call: Call, request_id: str, emit: Emit, *, lora: Arrays | None = None
) -> None:
    """Answer `call`: every sequence's chunks go to `emit` as soon as they are known.

    Raises ConchError. Cancelling it, at any moment, ends its requests in the engine first.
    """
    grant = model.gate.check(call.grant, request_id)
    adapter = choose(model.adapters, call, grant, lora or {})
    call = offered(model.language, call, grant)
    prompt = await _prompt(model.language, call)
    request = Request(
        id=request_id or new_request_id(),
        call=call,
        grant=grant,
        adapter=adapter,
        prompt=prompt,
        sampling=model.language.sampling_of(call),
        rank=rank_of(call.priority, grant.class_ceiling),
        lora=lora or {},
    )
    with bare_errors():
        try:
            async with asyncio.timeout(_seconds(call.deadline_ms)), asyncio.TaskGroup() as tasks:
                for index in range(call.n):
                    tasks.create_task(_sequence(model, request, index, emit))
        except TimeoutError:
            model.queue.turns.scheduler.counts.refusals[Expired.code] += 1
            raise Expired(f"not answered within deadline_ms = {call.deadline_ms}") from None


async def _prompt(language: Language, call: Call) -> Prompt:
    """A long text is tokenised aside: it must not hold up the others' streams."""
    if _characters(call) < LONG_PROMPT:
        return language.prompt(call)
    return await asyncio.to_thread(language.prompt, call)


def _characters(call: Call) -> int:
    parts = (*(m.get("content") for m in call.messages or ()), *(call.tools or ()))
    return len(call.text or "") + sum(len(str(part)) for part in parts)


async def _sequence(model: Model, request: Request, index: int, emit: Emit) -> None:
    made = Answer(model.language, request.call, request.prompt, index)
    progress = Progress.of(request.call, time.monotonic())
    async with model.queue.line(request, index, partial(_tell, request.call, index, emit)) as turn:
        await turn.run(partial(_generate, model, request, made, turn, progress, emit))


async def _generate(
    model: Model, request: Request, made: Answer, turn: Turn, progress: Progress, emit: Emit
) -> None:
    """One engine request: the whole answer, or what is left of it."""
    async with (
        _kept(model, request, turn),
        _stream(model, request, _inputs(request, made)) as stream,
    ):
        async for tokens in stream:
            if turn.is_to_start_over:
                continue
            turn.made(len(tokens.ids))
            chunk = made.push(tokens)
            turn.is_over = made.finish_reason is not None
            _emit(chunk, made, turn, progress, emit)
            # The engine has more to say only where we ended the answer before it did.
            if made.finish_reason is not None and tokens.times is None:
                return
        if made.finish_reason is None:
            raise EngineFailed("the engine ended this answer before its last token; send it again")


@asynccontextmanager
async def _kept(model: Model, request: Request, turn: Turn) -> AsyncIterator[None]:
    """The adapter of one that is stopped within the block stays where it is for a while."""
    try:
        yield
    finally:
        is_stopped = turn.entry.state is State.STOPPING
        if is_stopped and request.adapter is not None and model.adapters is not None:
            model.adapters.pool.keep(request.adapter)


def _inputs(request: Request, made: Answer) -> Arrays:
    """Streamed to here also where the client gets it whole: what was made is kept when it is
    stopped, and an engine that makes nothing is noticed.
    """
    prompt, sampling = rest_of(request.prompt, request.sampling, tuple(made.ids), request.seed)
    call = replace(request.call, is_streamed=True)
    return {**encode(prompt, call, sampling, sequence=made.index), **request.lora}


def _stream(
    model: Model, request: Request, arrays: Arrays
) -> AbstractAsyncContextManager[AsyncIterator[Tokens]]:
    outputs = requested_outputs(request.call)
    if request.adapter is None or model.adapters is None:
        return model.engine.stream(arrays, outputs, request_id=new_request_id())
    return model.adapters.pool.stream(request.adapter, arrays, outputs)


def _emit(chunk: Chunk | None, made: Answer, turn: Turn, progress: Progress, emit: Emit) -> None:
    if chunk is None:
        return
    if chunk.finish_reason is not None:
        is_one = turn.entry.stops == 0
        timings = made.timings(turn.waited_ms) if is_one else turn.timings()
        chunk = replace(chunk, timings=timings)
    elif progress.is_due(time.monotonic()):
        chunk = replace(chunk, usage=made.usage())
    emit(chunk)


def _tell(call: Call, index: int, emit: Emit, state: SequenceState) -> None:
    """Those who came by a gateway hear of a pause: it has clocks of its own."""
    if call.grant is not None:
        emit(Chunk(index, state=state))


def _seconds(deadline_ms: int | None) -> float | None:
    return None if deadline_ms is None else deadline_ms / 1e3
