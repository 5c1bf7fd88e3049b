"""A request's path inside Triton: grant → render and tokenise → its turn → engine → detokenise."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from secrets import token_hex

from serving.bls.answer import Answer, Progress
from serving.bls.engine import Engine
from serving.bls.engine_tensors import encode, requested_outputs
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


@dataclass(frozen=True, slots=True)
class Request:
    """One that was let in: what it asks, what it may do, and its prompt in tokens."""

    call: Call
    grant: Grant
    prompt: Prompt


async def answer(model: Model, call: Call, request_id: str, emit: Emit) -> None:
    """Answer `call`: every sequence's chunks go to `emit` as soon as they are known.

    Raises ConchError. Cancelling it, at any moment, ends its requests in the engine first.
    """
    grant = model.gate.check(call.grant, request_id)
    request = Request(call, grant, await _prompt(model.language, call))
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
    arrived_s = time.monotonic()
    progress = Progress.of(call, arrived_s)
    async with (
        model.slots.take(),
        model.engine.stream(arrays, requested_outputs(call), request_id=_engine_id()) as stream,
    ):
        waited_ms = (time.monotonic() - arrived_s) * 1e3
        async for tokens in stream:
            _emit(made.push(tokens), made, waited_ms, progress, emit)
            # The engine has more to say only where we ended the answer before it did.
            if made.finish_reason is not None and tokens.times is None:
                return
        if made.finish_reason is None:
            raise EngineFailed("the engine ended this answer before its last token; send it again")


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


_PROCESS = token_hex(4)
_numbers = count(1)


def _engine_id() -> str:
    # Ours, not the client's: two live requests with one id could not be told apart by a stop. The
    # engine may have callers beside this process, or requests of the one before it.
    return f"conch-{_PROCESS}-{next(_numbers)}"


def _seconds(deadline_ms: int | None) -> float | None:
    return None if deadline_ms is None else deadline_ms / 1e3
