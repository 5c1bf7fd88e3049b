"""POST /v1/completions: how an answer looks there."""

import secrets
import time
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import orjson

from gateway.api.choices import Choice, usage_object
from gateway.api.service_tier import tier_field
from gateway.api.sse import Frame
from gateway.pipeline import Answer
from gateway.tally import Tally
from serving.contract.calls import Chunk, TokenLogprob


class CompletionReply:
    """One answer as text completion objects."""

    def __init__(self, answer: Answer) -> None:
        self._envelope = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": answer.name,
            "system_fingerprint": None,
            **tier_field(answer.ask),
        }
        self._frame = Frame(self._envelope, has_usage_event=answer.ask.has_usage_event)
        self._texts: dict[int, tuple[bytes, bytes]] = {}
        self._has_logprobs = answer.ask.has_logprobs
        self._offsets: dict[int, int] = {}

    def events(self, chunk: Chunk) -> bytes:
        """The event of one chunk; none for a chunk that says nothing."""
        if chunk.finish_reason is None and not chunk.logprobs:
            before, after = self._around(chunk.index)
            return before + orjson.dumps(chunk.text) + after if chunk.text else b""
        choice = Choice(chunk.index)
        choice.add(chunk)
        offset = self._offsets.get(chunk.index, 0)
        self._offsets[chunk.index] = offset + sum(len(_text(t)) for t in chunk.logprobs)
        logprobs = _logprobs(choice.logprobs, offset) if chunk.logprobs else None
        return self._frame.choice(_choice(choice, logprobs))

    def _around(self, index: int) -> tuple[bytes, bytes]:
        around = self._texts.get(index)
        if around is None:
            around = self._texts[index] = self._frame.around(
                b'{"index":%d,"text":' % index, b',"logprobs":null,"finish_reason":null}'
            )
        return around

    def usage_event(self, tally: Tally) -> bytes:
        return self._frame.usage(usage_object(tally))

    def whole(self, choices: Iterable[Choice], tally: Tally) -> bytes:
        """The answer as one object."""
        made = [
            _choice(choice, _logprobs(choice.logprobs, 0) if self._has_logprobs else None)
            for choice in choices
        ]
        return orjson.dumps(self._envelope | {"choices": made, "usage": usage_object(tally)})


def _choice(choice: Choice, logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "index": choice.index,
        "text": choice.text,
        "logprobs": logprobs,
        "finish_reason": choice.finish_reason,
    }


def _logprobs(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    texts = [_text(token) for token in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": None,
        "text_offset": list(accumulate(map(len, texts), initial=offset))[: len(texts)],
    }


def _text(token: TokenLogprob) -> str:
    return token.data.decode(errors="replace")
