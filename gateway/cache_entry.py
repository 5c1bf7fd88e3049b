"""An answer as it is stored: its chunks, without what is true of one request only. Pure."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import orjson
import zstandard

from serving.contract.approvals import is_ask_id
from serving.contract.calls import Chunk, FinishReason, TokenLogprob, Usage
from serving.contract.guardrails import verdicts_of
from serving.contract.tools import delta_objects, deltas_of

COMPLETE = (FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS)
SHORT = 1024  # bytes that are not worth compressing
MOST_BYTES = 64 << 20  # that any entry unpacks to
_PLAIN, _PACKED = b"j", b"z"


class Malformed(ValueError):
    """No entry that this version wrote."""


def is_fit(chunks: Iterable[Chunk], choices: int) -> bool:
    """Whether all of the answer is there, and it may be given to others.

    Not one that a guardrail ended, nor one with a call that waits for a person.
    """
    complete = 0
    for chunk in chunks:
        if any(is_ask_id(delta.id) for delta in chunk.tool_calls):
            return False
        if chunk.finish_reason is not None:
            if chunk.finish_reason not in COMPLETE:
                return False
            complete += 1
    return complete == choices


def encode(chunks: Iterable[Chunk]) -> bytes:
    """In the pieces in which it came; compressed where it is long."""
    data = orjson.dumps([said for chunk in chunks if (said := _said(chunk)) is not None])
    if len(data) <= SHORT:
        return _PLAIN + data
    return _PACKED + zstandard.ZstdCompressor(level=3).compress(data)


def decode(entry: bytes) -> list[Chunk]:
    """What `encode` wrote; raises Malformed."""
    try:
        return [_chunk(said) for said in orjson.loads(_unpacked(entry))]
    except (AttributeError, ValueError, TypeError, KeyError, zstandard.ZstdError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error


def _unpacked(entry: bytes) -> bytes:
    kind, data = entry[:1], entry[1:]
    if kind == _PLAIN:
        return data
    if kind != _PACKED or zstandard.frame_content_size(data) > MOST_BYTES:
        raise ValueError("of no known kind")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=MOST_BYTES)


def _said(chunk: Chunk) -> Any:
    """Most chunks are one text of the first choice. None: it says nothing that lasts."""
    more: dict[str, Any] = {}
    if chunk.index:
        more["index"] = chunk.index
    if chunk.logprobs:
        more["logprobs"] = [_logprob(token) for token in chunk.logprobs]
    if chunk.reasoning:
        more["reasoning"] = chunk.reasoning
    if chunk.tool_calls:
        more["tool_calls"] = delta_objects(chunk.tool_calls)
    if chunk.verdicts:
        more["verdicts"] = [asdict(verdict) for verdict in chunk.verdicts]
    more |= _ending(chunk)
    if not more.keys() - {"index"}:
        return None if not chunk.text else ({"text": chunk.text} | more if more else chunk.text)
    return more | {"text": chunk.text} if chunk.text else more


def _ending(chunk: Chunk) -> dict[str, Any]:
    """What comes with the last chunk of a choice; of how long it took nothing is kept."""
    if chunk.finish_reason is None:
        return {}
    said = {"finish_reason": chunk.finish_reason.value, "cum_logprob": chunk.cum_logprob}
    return said | {"usage": None if chunk.usage is None else asdict(chunk.usage)}


def _logprob(token: TokenLogprob) -> list[Any]:
    return [token.token_id, base64.b64encode(token.data).decode(), token.logprob]


def _chunk(said: Any) -> Chunk:
    if isinstance(said, str):
        return Chunk(text=said)
    reason, usage = said.get("finish_reason"), said.get("usage")
    return Chunk(
        index=said.get("index", 0),
        text=said.get("text", ""),
        logprobs=_logprobs(said.get("logprobs", ())),
        finish_reason=None if reason is None else FinishReason(reason),
        usage=None if usage is None else Usage(**usage),
        cum_logprob=said.get("cum_logprob"),
        reasoning=said.get("reasoning", ""),
        tool_calls=deltas_of(said.get("tool_calls")),
        verdicts=verdicts_of(said.get("verdicts")),
    )


def _logprobs(said: Sequence[Any]) -> tuple[TokenLogprob, ...]:
    return tuple(TokenLogprob(id_, base64.b64decode(data), logprob) for id_, data, logprob in said)
