"""POST /v1/embeddings: how vectors look there."""

import base64
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from gateway.api.caller import HttpCaller
from gateway.api.embeddings_schema import EmbeddingsAsk, embeddings_ask
from gateway.api.generation import send_json
from gateway.embed import Embeddings, embeddings
from gateway.gate import Gate
from gateway.telemetry import Record
from serving.adapters.triton_embedding import Vectors


class Endpoint:
    """The raw ASGI interface, because the client's hang-up comes by `receive`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate: Gate = scope["state"]["gate"]
        record: Record = scope["state"]["record"]
        caller = HttpCaller(scope, receive, embeddings_ask, gate)
        given = await embeddings(caller, record, gate)
        await send_json(send, whole(given))


def whole(given: Embeddings) -> bytes:
    """The answer as one object."""
    is_base64 = isinstance(given.ask, EmbeddingsAsk) and given.ask.is_base64
    vectors = given.made.vectors.astype("<f4")
    data = [
        _item(index, _base64(vector) if is_base64 else vector, is_truncated=bool(is_truncated))
        for index, (vector, is_truncated) in enumerate(
            zip(vectors, given.made.is_truncated, strict=True)
        )
    ]
    tokens = given.tally.prompt_tokens
    answer = {
        "object": "list",
        "data": data,
        "model": given.model.name,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _item(index: int, vector: str | Vectors, *, is_truncated: bool) -> dict[str, Any]:
    item = {"object": "embedding", "index": index, "embedding": vector}
    # Conch's own, where it matters: OpenAI refuses such a text, its model reads more at once.
    return item | {"is_truncated": True} if is_truncated else item


def _base64(vector: Vectors) -> str:
    return base64.b64encode(vector.tobytes()).decode()
