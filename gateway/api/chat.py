"""POST /v1/chat/completions: how an answer looks there."""

import secrets
import time
from collections.abc import Iterable
from typing import Any

import orjson

from gateway.api.choices import Choice, usage_object
from gateway.api.service_tier import tier_field
from gateway.api.sse import Frame
from gateway.api.tool_calls import function_piece, passed_on, pieces, whole
from gateway.pipeline import Answer
from gateway.tally import Tally
from serving.contract.calls import Chunk, FinishReason, TokenLogprob
from serving.contract.tools import ToolCallDelta, joined


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
        self._is_one_call = answer.ask.is_one_call
        self._has_functions = answer.ask.has_functions

    def events(self, chunk: Chunk) -> bytes:
        """The events of one chunk: role before the first text, the reason after the last."""
        around = self._texts.get(chunk.index)
        if around is not None and _is_plain(chunk):
            return around[0] + orjson.dumps(chunk.text) + around[1] if chunk.text else b""
        events = self._first(chunk.index) if around is None else b""
        if chunk.reasoning:
            events += self._delta(chunk.index, {"reasoning_content": chunk.reasoning})
        if chunk.text or chunk.logprobs:
            logprobs = _logprobs(chunk.logprobs) if chunk.logprobs else None
            events += self._delta(chunk.index, {"content": chunk.text}, logprobs)
        if calls := passed_on(chunk.tool_calls, is_one_call=self._is_one_call):
            events += self._delta(chunk.index, self._call_pieces(calls))
        if chunk.finish_reason is not None:
            events += self._delta(chunk.index, {}, reason=self._reason(chunk.finish_reason))
        return events

    def _call_pieces(self, calls: tuple[ToolCallDelta, ...]) -> dict[str, Any]:
        if self._has_functions:
            return {"function_call": function_piece(calls)}
        return {"tool_calls": pieces(calls)}

    def _reason(self, reason: FinishReason | None) -> str | None:
        is_older = self._has_functions and reason is FinishReason.TOOL_CALLS
        return "function_call" if is_older else reason

    def _first(self, index: int) -> bytes:
        self._texts[index] = self._frame.around(
            b'{"index":%d,"delta":{"content":' % index, b'},"logprobs":null,"finish_reason":null}'
        )
        return self._delta(index, {"role": "assistant", "content": ""})

    def _delta(
        self,
        index: int,
        delta: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._frame.choice(choice)

    def usage_event(self, tally: Tally) -> bytes:
        return self._frame.usage(usage_object(tally))

    def whole(self, choices: Iterable[Choice], tally: Tally) -> bytes:
        """The answer as one object."""
        made = [self._choice(choice) for choice in choices]
        return orjson.dumps(self._envelope | {"choices": made, "usage": usage_object(tally)})

    def _choice(self, choice: Choice) -> dict[str, Any]:
        calls = passed_on(joined(choice.call_pieces), is_one_call=self._is_one_call)
        return {
            "index": choice.index,
            "message": _message(choice, calls, has_functions=self._has_functions),
            "logprobs": _logprobs(choice.logprobs) if self._has_logprobs else None,
            "finish_reason": self._reason(choice.finish_reason),
        }


def _is_plain(chunk: Chunk) -> bool:
    """Nearly every one is: nothing but text, or nothing at all."""
    return chunk.finish_reason is None and not (
        chunk.logprobs or chunk.tool_calls or chunk.reasoning
    )


def _message(
    choice: Choice, calls: tuple[ToolCallDelta, ...], *, has_functions: bool
) -> dict[str, Any]:
    """Where there are calls and no text, its content is null."""
    content = None if calls and not choice.text else choice.text
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if calls and has_functions:
        message["function_call"] = function_piece(calls)
    elif calls:
        message["tool_calls"] = whole(calls)
    return message


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
