"""POST /v1/chat/completions: how an answer looks there."""

import secrets
import time
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.api.choices import Choice, usage_object
from gateway.api.service_tier import tier_field
from gateway.api.sse import Frame
from gateway.pipeline import Answer
from gateway.tally import Tally
from serving.contract.calls import Chunk, TokenLogprob


class ChatReply:
    """One answer as chat completion objects."""

    def __init__(self, answer: Answer) -> None:
        self._envelope = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": answer.name,
            "system_fingerprint": None,
            **tier_field(answer.ask),
        }
        envelope = self._envelope | {"object": "chat.completion.chunk"}
        self._frame = Frame(envelope, has_usage_event=answer.ask.has_usage_event)
        self._texts: dict[int, tuple[bytes, bytes]] = {}
        self._has_logprobs = answer.ask.has_logprobs

    def events(self, chunk: Chunk) -> bytes:
        """The events of one chunk: role before the first text, the reason after the last."""
        around = self._texts.get(chunk.index)
        if around is not None and chunk.finish_reason is None and not chunk.logprobs:
            return around[0] + orjson.dumps(chunk.text) + around[1] if chunk.text else b""
        events = self._first(chunk.index) if around is None else b""
        if chunk.text or chunk.logprobs:
            logprobs = _logprobs(chunk.logprobs) if chunk.logprobs else None
            events += self._delta(chunk.index, {"content": chunk.text}, logprobs)
        if chunk.finish_reason is not None:
            events += self._delta(chunk.index, {}, reason=chunk.finish_reason)
        return events

    def _first(self, index: int) -> bytes:
        self._texts[index] = self._frame.around(
            b'{"index":%d,"delta":{"content":' % index, b'},"logprobs":null,"finish_reason":null}'
        )
        return self._delta(index, {"role": "assistant", "content": ""})

    def _delta(
        self,
        index: int,
        delta: dict[str, str],
        logprobs: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._frame.choice(choice)

    def usage_event(self, tally: Tally) -> bytes:
        return self._frame.usage(usage_object(tally))

    def whole(self, choices: Iterable[Choice], tally: Tally) -> bytes:
        """The answer as one object."""
        made = [_choice(choice, has_logprobs=self._has_logprobs) for choice in choices]
        return orjson.dumps(self._envelope | {"choices": made, "usage": usage_object(tally)})


def _choice(choice: Choice, *, has_logprobs: bool) -> dict[str, Any]:
    return {
        "index": choice.index,
        "message": {"role": "assistant", "content": choice.text, "refusal": None},
        "logprobs": _logprobs(choice.logprobs) if has_logprobs else None,
        "finish_reason": choice.finish_reason,
    }


def _logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    content = [
        {
            "token": token.data.decode(errors="replace"),
            "logprob": token.logprob,
            "bytes": list(token.data),
            "top_logprobs": [],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}
