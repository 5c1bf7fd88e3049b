"""An answer read by its meaning, a sentence at a time: held back until it was read, or not."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from serving.bls import meaning
from serving.bls.guard_verdicts import STOPS
from serving.bls.guarded_calls import Note
from serving.bls.guards import Compiled, Guards
from serving.bls.held_logprobs import HeldLogprobs, Logprobs
from serving.contract.calls import Chunk, FinishReason
from serving.contract.guardrails import Action, Hold, OnFailure, Stage, Verdict
from serving.guardrails.meaning_windows import Passage

MAX_SENTENCE = 1000  # characters; what goes on is read in pieces
_END = re.compile(r"[.!?](?=\s|$)|[。！？\n]")


class _Unread:
    """The end of a text that nobody has read yet."""

    def __init__(self) -> None:
        self.text = ""

    def sentences(self, text: str, *, is_last: bool) -> list[str]:
        """Those that are complete now that `text` followed, taken off it."""
        text = self.text + text
        ends = [match.end() for match in _END.finditer(text)]
        is_all = is_last or len(text) > MAX_SENTENCE
        at = len(text) if is_all else max(ends, default=0)
        self.text = text[at:]
        cuts = [0, *(end for end in ends if end < at), at]
        return [text[begin:end] for begin, end in pairwise(cuts) if begin < end]


class GuardedSentences:
    """One sequence. `is_blocked` once a sentence may not be said: nothing follows what was shown.

    With `hold: none` text goes out as it comes, and a block ends the answer after the sentence.
    """

    def __init__(self, guards: Guards, compiled: Compiled, note: Note) -> None:
        self._guards = guards
        self._compiled = compiled
        self._note = note
        self._is_held = compiled.policy.hold is Hold.SENTENCE
        self._content, self._reasoning = _Unread(), _Unread()
        self._logprobs = HeldLogprobs()
        self.is_blocked = False

    @classmethod
    def of(cls, guards: Guards, compiled: Compiled, note: Note) -> "GuardedSentences | None":
        """None where the policy reads no answer by its meaning."""
        has_checks = bool(meaning.reading_at(compiled.policy, (Stage.OUTPUT,)))
        return cls(guards, compiled, note) if has_checks else None

    async def push(self, chunk: Chunk) -> Chunk:
        """What may be shown of `chunk` and of what was held before it."""
        is_last = chunk.finish_reason is not None
        is_thought = is_last or bool(chunk.text)
        thought = self._reasoning.sentences(chunk.reasoning, is_last=is_thought)
        said = self._content.sentences(chunk.text, is_last=is_last)
        reasoning, text = await self._all(thought), await self._all(said)
        if self._is_held:
            logprobs = self._released(chunk.logprobs)
            chunk = replace(chunk, text=text, reasoning=reasoning, logprobs=logprobs)
        if self.is_blocked:
            chunk = replace(chunk, tool_calls=(), finish_reason=FinishReason.CONTENT_FILTER)
        return chunk

    async def _all(self, sentences: Iterable[str]) -> str:
        return "".join([await self._read(each) for each in sentences])

    async def _read(self, sentence: str) -> str:
        """`sentence` as it may be shown: nothing of it, or of what follows, once one is blocked."""
        if self.is_blocked or not sentence.strip():
            return "" if self.is_blocked else sentence
        verdicts = await self._judged(sentence)
        self._note(verdicts)
        actions = {verdict.action for verdict in verdicts}
        self.is_blocked |= not actions.isdisjoint(STOPS)
        if self.is_blocked:
            return ""
        if Action.REDACT not in actions:
            return sentence
        self._logprobs.is_spoilt = True
        return _replaced(sentence, verdicts)

    async def _judged(self, sentence: str) -> tuple[Verdict, ...]:
        policy = self._compiled.policy
        passages = (Passage(sentence, Stage.OUTPUT),)
        try:
            async with asyncio.timeout(policy.budget_ms / 1e3):
                return await meaning.read(self._compiled, passages, self._guards.embeddings)
        except Exception as error:
            self._guards.failed(error)
            self.is_blocked = policy.on_failure is OnFailure.CLOSED
            return ()

    def _released(self, logprobs: Logprobs) -> Logprobs:
        """None of a sentence that is not shown as it was said."""
        self._logprobs.is_spoilt |= self.is_blocked
        is_holding = bool(self._content.text or self._reasoning.text)
        return self._logprobs.push(logprobs, is_holding=is_holding and not self.is_blocked)


def _replaced(sentence: str, verdicts: Iterable[Verdict]) -> str:
    """The check's name in the place of the sentence, with the space around it."""
    check = next(verdict.check for verdict in verdicts if verdict.action is Action.REDACT)
    text = sentence.strip()
    return sentence.replace(text, f"[{check}]")
