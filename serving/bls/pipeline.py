"""A request's path inside Triton: grant → adapter → prompt → its turn → engine → text."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from serving.bls.adapter import Adapter
from serving.bls.adapter_choice import Adapters, choose
from serving.bls.answer import Answer, Progress
from serving.bls.engine import Arrays, Engine, new_request_id
from serving.bls.engine_tensors import Tokens, encode, requested_outputs
from serving.bls.grants import Gate
from serving.bls.language import Language, Prompt
from serving.bls.slots import Slots
from serving.contract.calls import Call, Chunk
from serving.contract.errors import EngineFailed, Expired
from serving.contract.grant import Grant

LONG_PROMPT = 10_000  # characters; about a millisecond of work
Emit = Callable[[Chunk], None]


@dataclass(frozen=True, slots=True)
class Model:
    """What one BLS model works with."""

    gate: Gate
    language: Language
    slots: Slots
    engine: Engine
    adapters: Adapters | None = None  # an engine that takes none


@dataclass(frozen=True, slots=True)
class Request:
    """One that was let in: what it asks, what it may do, and its prompt in tokens.

    `lora` are tensors of an adapter that the caller brings along, under NVIDIA's names.
    """

    call: Call
    grant: Grant
    adapter: Adapter | None
    prompt: Prompt
    lora: Arrays


async def answer(
    model: Model, call: Call, request_id: str, emit: Emit, *, lora: Arrays | None = None
) -> None:
    """Answer `call`: every sequence's chunks go to `emit` as soon as they are known.

    Raises ConchError. Cancelling it, at any moment, ends its requests in the engine first.
    """
    grant = model.gate.check(call.grant, request_id)
    adapter = choose(model.adapters, call, grant, lora or {})
    prompt = await _prompt(model.language, call)
    request = Request(call, grant, adapter, prompt, lora or {})
    try:
        async with asyncio.timeout(_seconds(call.deadline_ms)), asyncio.TaskGroup() as tasks:
            for index in range(call.n):
                tasks.create_task(_sequence(model, request, index, emit))
    except TimeoutError:
        raise Expired(f"not answered within deadline_ms = {call.deadline_ms}") from None
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _prompt(language: Language, call: Call) -> Prompt:
    """A long text is tokenised aside: it must not hold up the others' streams."""
    if _characters(call) < LONG_PROMPT:
        return language.prompt(call)
    return await asyncio.to_thread(language.prompt, call)


def _characters(call: Call) -> int:
    return len(call.text or "") + sum(len(str(m.get("content"))) for m in call.messages or ())


async def _sequence(model: Model, request: Request, index: int, emit: Emit) -> None:
    language, call, prompt = model.language, request.call, request.prompt
    made = Answer(language, call, prompt, index)
    arrays = encode(prompt, call, language.sampling_of(call), sequence=index)
    arrays |= request.lora
    arrived_s = time.monotonic()
    progress = Progress.of(call, arrived_s)
    async with (
        model.slots.take(),
        _stream(model, request, arrays) as stream,
    ):
        waited_ms = (time.monotonic() - arrived_s) * 1e3
        async for tokens in stream:
            _emit(made.push(tokens), made, waited_ms, progress, emit)
            # The engine has more to say only where we ended the answer before it did.
            if made.finish_reason is not None and tokens.times is None:
                return
        if made.finish_reason is None:
            raise EngineFailed("the engine ended this answer before its last token; send it again")


def _stream(
    model: Model, request: Request, arrays: Arrays
) -> AbstractAsyncContextManager[AsyncIterator[Tokens]]:
    outputs = requested_outputs(request.call)
    if request.adapter is None or model.adapters is None:
        return model.engine.stream(arrays, outputs, request_id=new_request_id())
    return model.adapters.pool.stream(request.adapter, arrays, outputs)


def _emit(
    chunk: Chunk | None, made: Answer, waited_ms: float, progress: Progress, emit: Emit
) -> None:
    if chunk is None:
        return
    if chunk.finish_reason is not None:
        chunk = replace(chunk, timings=made.timings(waited_ms))
    elif progress.is_due(time.monotonic()):
        chunk = replace(chunk, usage=made.usage())
    emit(chunk)


def _seconds(deadline_ms: int | None) -> float | None:
    return None if deadline_ms is None else deadline_ms / 1e3
