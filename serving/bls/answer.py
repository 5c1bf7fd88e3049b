"""One sequence's answer in the making: tokens in, chunks of text out, and why it ended. Pure."""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Self

from serving.bls.engine_tensors import Tokens
from serving.bls.language import Language, Prompt
from serving.contract.calls import (
    Call,
    Chunk,
    EngineTimes,
    FinishReason,
    Timings,
    TokenLogprob,
    Usage,
)
from serving.text.detokenizer import Detokenizer
from serving.text.stop_strings import StopFilter
from serving.text.tools.reading import Said

PROGRESS_PERIOD_S = 0.25


@dataclass(frozen=True, slots=True)
class _Scored:
    """A token whose text is not shown yet; `end` is where that text ends in the answer."""

    token: TokenLogprob
    end: int


@dataclass(slots=True)
class Progress:
    """When to say what a sequence has used so far: at `due_s`, and then now and then."""

    due_s: float

    @classmethod
    def of(cls, call: Call, now_s: float) -> Self:
        """Never without a grant. A stream says it with its first chunk; an answer that is sent
        whole would need a response more for that, and is often over soon.
        """
        if call.grant is None:
            return cls(inf)
        return cls(now_s if call.is_streamed else now_s + PROGRESS_PERIOD_S)

    def is_due(self, now_s: float) -> bool:
        if now_s < self.due_s:
            return False
        self.due_s = now_s + PROGRESS_PERIOD_S
        return True


class Answer:
    """The text of one sequence, as it may be shown so far."""

    def __init__(self, language: Language, call: Call, prompt: Prompt, index: int) -> None:
        self._language = language
        self._call = call
        self._prompt = prompt
        self.index = index
        self._detokenizer = Detokenizer(language.answers_tokenizer(call))
        self._reading = language.reading(call, prompt)
        self._stops = StopFilter(call.sampling.stop)
        self._echo = _echo(language, call, prompt)
        self._scored: deque[_Scored] = deque()
        self._made_length = 0
        self._shown_length = 0
        self._times: EngineTimes | None = None
        self._cum_logprob = 0.0
        self.ids: list[int] = []
        self.finish_reason: FinishReason | None = None

    @property
    def completion_tokens(self) -> int:
        return len(self.ids)

    def push(self, tokens: Tokens) -> Chunk | None:
        """The chunk that `tokens` make certain, or None; `finish_reason` is set by the last."""
        self._times = tokens.times or self._times
        self.ids += tokens.ids
        self._cum_logprob += sum(tokens.logprobs)
        text = self._text(tokens)
        self.finish_reason = self._reason(tokens)
        is_last = self.finish_reason is not None
        if is_last:
            text += self._rest()
        said = self._said(text, is_last=is_last)
        return self._chunk(said) if said or self._echo or is_last else None

    def _said(self, text: str, *, is_last: bool) -> Said:
        reading = self._reading
        if reading is None:
            return Said(text)
        said = reading.push(text)
        if is_last:
            said += reading.end()
            if reading.has_whole_call and self.finish_reason is FinishReason.STOP:
                self.finish_reason = FinishReason.TOOL_CALLS
        return said

    def _text(self, tokens: Tokens) -> str:
        ids = tokens.ids
        if ids and ids[-1] in self._prompt.end_ids:
            ids = ids[:-1]
        if not tokens.logprobs:
            return self._shown(self._stops.push(self._detokenizer.push(ids)))
        pieces = zip(ids, tokens.logprobs, strict=False)
        return "".join(self._scored_text(token_id, logprob) for token_id, logprob in pieces)

    def _scored_text(self, token_id: int, logprob: float) -> str:
        text = self._detokenizer.push((token_id,))
        self._made_length += len(text)
        data = self._language.tokenizer.token_bytes(token_id)
        # Without text of its own it is a part of the next character: shown when that is.
        end = self._made_length + (not text)
        self._scored.append(_Scored(TokenLogprob(token_id, data, logprob), end))
        return self._shown(self._stops.push(text))

    def _rest(self) -> str:
        """What was held back, unless a stop string cut it off."""
        if self._stops.is_stopped:
            return ""
        rest = self._stops.push(self._detokenizer.flush())
        if self._stops.is_stopped:
            self.finish_reason = FinishReason.STOP
        self._made_length += len(rest)
        return self._shown(rest + self._stops.flush())

    def _shown(self, text: str) -> str:
        self._shown_length += len(text)
        return text

    def _reason(self, tokens: Tokens) -> FinishReason | None:
        if self._stops.is_stopped or (tokens.ids and tokens.ids[-1] in self._prompt.end_ids):
            return FinishReason.STOP
        if self.completion_tokens >= self._prompt.max_tokens:
            return FinishReason.LENGTH
        # A last response without an end token: a grammar that is complete, or a cancellation.
        if tokens.times is not None:
            return FinishReason.STOP if tokens.ids else FinishReason.CANCELLED
        return None

    def _chunk(self, said: Said) -> Chunk:
        echo, self._echo = self._echo, ""
        is_last = self.finish_reason is not None
        return Chunk(
            index=self.index,
            text=echo + said.content,
            reasoning=said.reasoning,
            tool_calls=said.calls,
            logprobs=self._take_logprobs(),
            finish_reason=self.finish_reason,
            usage=self.usage() if is_last else None,
            engine_times=self._times if is_last else None,
            cum_logprob=self._cum_logprob if is_last and self._call.has_logprobs else None,
        )

    def _take_logprobs(self) -> tuple[TokenLogprob, ...]:
        """Of the tokens whose text is shown: a stop string must not show through them."""
        taken = []
        is_whole = self.finish_reason is not None and not self._stops.is_stopped
        while self._scored and (is_whole or self._scored[0].end <= self._shown_length):
            taken.append(self._scored.popleft().token)
        return tuple(taken)

    def usage(self) -> Usage:
        """What it has used so far."""
        return Usage(len(self._prompt.ids), self.completion_tokens)

    def timings(self, waited_ms: float) -> Timings | None:
        """Where the time of one engine request went; None when the engine did not say."""
        times = self._times
        if times is None:
            return None
        return Timings(
            queue_ms=waited_ms + (times.first_scheduled_ns - times.arrival_ns) / 1e6,
            prefill_ms=(times.first_token_ns - times.first_scheduled_ns) / 1e6,
            decode_ms=(times.last_token_ns - times.first_token_ns) / 1e6,
        )


def _echo(language: Language, call: Call, prompt: Prompt) -> str:
    if not call.is_echoed:
        return ""
    return language.tokenizer.decode(list(prompt.ids)) if call.text is None else call.text
