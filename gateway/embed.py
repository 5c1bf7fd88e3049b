"""The path of texts to vectors: identify → read → reserve → route → embed → settle."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.ask import Ask
from gateway.gate import Gate
from gateway.pipeline import Caller, deadline, governed, understanding
from gateway.stages.auth import identify
from gateway.stages.embed import embedded
from gateway.stages.route import Model, route
from gateway.tally import Tally
from gateway.telemetry import Record
from serving.adapters.triton_embedding import Embedded
from serving.contract.calls import Call, Chunk, Sampling, Usage
from serving.contract.errors import ModelNotFound, Unavailable

# It reads, and generates nothing.
NO_ANSWER = Sampling(max_tokens=0)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What a request got."""

    ask: Ask
    model: Model
    tally: Tally
    made: Embedded


def calls_of(texts: Sequence[str]) -> tuple[Call, ...]:
    """One a text."""
    return tuple(Call(text=text, sampling=NO_ANSWER) for text in texts)


async def embeddings(caller: Caller, record: Record, gate: Gate) -> Embeddings:
    """Take one request to its model. Whatever way it ends, nothing of it is held any more."""
    principal = await identify(caller.credentials, gate.gatekeeper)
    record.identified(principal)
    with understanding(gate, principal, record):
        ask = await caller.read()
    record.asked(ask)
    async with (
        caller.staying(),
        governed(gate, principal, ask, record),
        deadline(gate),  # within what is settled: its error is how the request ended
    ):
        model = await route(ask.model, principal, gate.embeddings)
        record.routed(model.name)
        made = await _embedded(gate, model, ask, record)
        return Embeddings(ask, model, record.tally, made)


async def _embedded(gate: Gate, model: Model, ask: Ask, record: Record) -> Embedded:
    def count(first: int, part: Embedded) -> None:
        record.saw(Chunk(index=first, usage=Usage(int(part.token_counts.sum()), 0)))

    texts = [call.text or "" for call in ask.calls]
    try:
        return await embedded(gate.triton, model, texts, record.request_id, count)
    except ModelNotFound:
        # It was there when the request was routed: a Triton that has come back loads it still.
        gate.embeddings.forget(model.name)
        raise Unavailable("the model is being loaded again; try again soon") from None
