"""A request's path inside Triton: grant → guard in → adapter → tools → prompt → its turn → engine →
text → guard out.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from secrets import randbits
from typing import TypeVar

from serving.bls.adapter import Adapter
from serving.bls.adapter_choice import Adapters, choose
from serving.bls.answer import Answer, Progress
from serving.bls.engine import Arrays, Engine, new_request_id
from serving.bls.engine_tensors import Tokens, encode, requested_outputs
from serving.bls.grants import Gate
from serving.bls.guarded_answer import GuardedAnswer
from serving.bls.guarded_sentences import GuardedSentences
from serving.bls.guards import Guards
from serving.bls.language import Language, Prompt
from serving.bls.queue import Queue
from serving.bls.resumable import rest_of
from serving.bls.scheduling.classes import rank_of
from serving.bls.scheduling.job import State
from serving.bls.tools import offered
from serving.bls.turns import Turn
from serving.bls.watch import Watch
from serving.contract.calls import Call, Chunk, FinishReason, Sampling, SequenceState
from serving.contract.errors import EngineFailed, Expired
from serving.contract.grant import Grant
from serving.contract.task_errors import bare_errors

LONG_PROMPT = 10_000  # characters; about four milliseconds of work, most of it the guardrails'
Emit = Callable[[Chunk], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """What one BLS model works with."""

    gate: Gate
    language: Language
    queue: Queue
    engine: Engine
    adapters: Adapters | None = None  # an engine that takes none
    guards: Guards = field(default_factory=Guards)


@dataclass(frozen=True, slots=True)
class Request:
    """One that was let in: what it asks, what it may do, and its prompt in tokens.

    `rank` is the class that counts, `seed` what a sampled answer goes on with where it is resumed.
    `lora` are tensors of an adapter that the caller brings along, under NVIDIA's names.
    """

    id: str
    call: Call
    grant: Grant
    watch: Watch
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
    request_id = request_id or new_request_id()
    watch = Watch(model.guards, call, grant, emit)
    with watch.telling():
        call = await _aside(call, partial(_guarded, model.language, watch))
        await _answer(model, await _asked(model, call, request_id, grant, watch, lora or {}))


async def _asked(
    model: Model, call: Call, request_id: str, grant: Grant, watch: Watch, lora: Arrays
) -> Request:
    """`call`, whose texts are as the model may have them, ready for its turn."""
    adapter = choose(model.adapters, call, grant, lora)
    call = offered(model.language, call, grant)
    return Request(
        id=request_id,
        call=call,
        grant=grant,
        watch=watch,
        adapter=adapter,
        prompt=await _aside(call, model.language.prompt),
        sampling=model.language.sampling_of(call),
        rank=rank_of(call.priority, grant.class_ceiling),
        lora=lora,
    )


async def _answer(model: Model, request: Request) -> None:
    call = request.call
    with bare_errors():
        try:
            async with asyncio.timeout(_seconds(call.deadline_ms)), asyncio.TaskGroup() as tasks:
                tasks.create_task(request.watch.judge())
                for index in range(call.n):
                    tasks.create_task(_sequence(model, request, index))
        except TimeoutError:
            model.queue.turns.scheduler.counts.refusals[Expired.code] += 1
            raise Expired(f"not answered within deadline_ms = {call.deadline_ms}") from None


async def _aside(call: Call, work: Callable[[Call], T]) -> T:
    """What reads a long text is done aside: it must not hold up the others' streams."""
    if _characters(call) < LONG_PROMPT:
        return work(call)
    return await asyncio.to_thread(work, call)


def _guarded(language: Language, watch: Watch, call: Call) -> Call:
    """Token ids are read as the text that they stand for: they are no way around the guardrails."""
    if call.input_ids is None or call.text is not None:
        return watch.read(call)
    text = language.text_of(call.input_ids)
    read = watch.read(replace(call, text=text, input_ids=None)).text
    return call if read in (None, text) else replace(call, input_ids=language.ids_of(read))


def _characters(call: Call) -> int:
    said = (m.get(name) for m in call.messages or () for name in ("content", "tool_calls"))
    parts = (*said, *(call.tools or ()))
    texts = len(call.text or "") + len(call.input_ids or ())
    return texts + sum(len(str(part)) for part in parts)


async def _sequence(model: Model, request: Request, index: int) -> None:
    made = Answer(model.language, request.call, request.prompt, index)
    watch = request.watch
    progress = Progress.of(request.call, time.monotonic())
    out = _Out(watch.answer(request.call), watch.sentences(), progress)
    async with model.queue.line(request, index, partial(_tell, request, index)) as turn:
        await turn.run(partial(_generate, model, request, made, turn, out))


async def _generate(model: Model, request: Request, made: Answer, turn: Turn, out: "_Out") -> None:
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
            if chunk is not None:
                said = _emit(request, chunk, made, turn, out)
                await (said if out.sentences is None else _to_its_end(said, turn))
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


@dataclass(frozen=True, slots=True)
class _Out:
    """The way out of one sequence."""

    guard: GuardedAnswer
    sentences: GuardedSentences | None
    progress: Progress


async def _to_its_end(said: Coroutine[None, None, None], turn: Turn) -> None:
    """Also where the sequence has to leave the engine meanwhile: its tokens count as said, so it
    goes on after them. It waits no longer than checks by meaning may take.
    """
    task = asyncio.ensure_future(said)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if turn.entry.state is not State.STOPPING or turn.is_ending:
            task.cancel()
        await task
        raise


async def _emit(request: Request, chunk: Chunk, made: Answer, turn: Turn, out: _Out) -> None:
    chunk = out.guard.push(chunk)
    if out.sentences is not None:
        chunk = await out.sentences.push(chunk)
    if chunk.finish_reason is FinishReason.CONTENT_FILTER:
        made.finish_reason = FinishReason.CONTENT_FILTER
        turn.is_over = True
    if chunk.finish_reason is not None:
        is_one = turn.entry.stops == 0
        timings = made.timings(turn.waited_ms) if is_one else None
        chunk = replace(chunk, usage=made.usage(), timings=timings or turn.timings())
    elif out.progress.is_due(time.monotonic()):
        chunk = replace(chunk, usage=made.usage())
    if chunk != Chunk(chunk.index):  # all of it is held back
        request.watch.emit(chunk)


def _tell(request: Request, index: int, state: SequenceState) -> None:
    """Those who came by a gateway hear of a pause: it has clocks of its own."""
    if request.call.grant is not None:
        request.watch.emit(Chunk(index, state=state))


def _seconds(deadline_ms: int | None) -> float | None:
    return None if deadline_ms is None else deadline_ms / 1e3
