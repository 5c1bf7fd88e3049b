"""The guardrails of one request: of its prompt, before it and while it waits, and of answers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from serving.bls import meaning
from serving.bls.guard_verdicts import STOPS, PendingVerdicts
from serving.bls.guarded_answer import GuardedAnswer
from serving.bls.guarded_prompt import Told, is_tainted, read_all
from serving.bls.guarded_sentences import GuardedSentences
from serving.bls.guards import Guards
from serving.contract.calls import Call, Chunk
from serving.contract.errors import ApprovalPending, Blocked, Unavailable
from serving.contract.grant import Grant
from serving.contract.guardrails import (
    STRENGTH,
    UNTRUSTED,
    Action,
    OnFailure,
    Stage,
    Verdict,
    blocking,
)
from serving.contract.tools import name_of
from serving.guardrails.examine import Examined
from serving.guardrails.meaning_windows import Passage
from serving.guardrails.placeholders import Placeholders
from serving.guardrails.tools.run import Run
from serving.text.spotlight import advised, marked

Emit = Callable[[Chunk], None]
_OF_PROMPT = (Stage.INPUT, *UNTRUSTED)


class Watch:
    """Chunks go out by `emit`, once the prompt has been read by its meaning, too.

    Verdicts travel with the chunks of those who came by a gateway.
    """

    def __init__(self, guards: Guards, call: Call, grant: Grant, emit: Emit) -> None:
        self._guards = guards
        self._compiled = guards.of(call, grant)
        self._grant = grant
        self._emit = emit
        self._is_told = call.grant is not None
        self._passages: list[Passage] = []
        self._verdicts = PendingVerdicts()
        self._stopping: Verdict | None = None
        self._held: list[Chunk] | None = None
        self._run = Run()
        self._placeholders = Placeholders()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """What was found is told also where the block ends with an error: it has no room for it."""
        try:
            yield
        except Exception:
            self._tell_rest()
            raise

    def read(self, call: Call) -> Call:
        """`call` with its texts as the model may have them. Raises Blocked and ApprovalPending."""
        read = read_all(call, self._examined)
        self._refuse_blocked()
        self._check_approvals(call)
        self._run = Run.of(call.messages or (), self._grant.run)
        if meaning.reading_at(self._compiled.policy, [p.stage for p in self._passages]):
            self._held = []
        if read.messages is not None and self._spotlights and is_tainted(call):
            return replace(read, messages=advised(read.messages))
        return read

    async def judge(self) -> None:
        """Read the prompt by its meaning; chunks wait for what comes of it. Raises Blocked."""
        if self._held is None:
            return
        policy, began_s = self._compiled.policy, time.monotonic()
        try:
            async with asyncio.timeout(policy.budget_ms / 1e3):
                # It is with the engine already: nothing can be taken out of it any more.
                self.note(map(blocking, await self._read_by_meaning()))
        except Exception as error:
            self._failed(error)
        self._guards.waited_ms((time.monotonic() - began_s) * 1e3 if self._held else 0.0)
        self._refuse_blocked()
        held, self._held = self._held, None
        for chunk in held:
            self.emit(chunk)

    def emit(self, chunk: Chunk) -> None:
        """Send it, or hold it until `judge` has ended. News of where it stands always goes out."""
        if self._held is not None and chunk.state is None:
            self._held.append(chunk)
            return
        verdicts = self._verdicts.take()
        self._emit(replace(chunk, verdicts=verdicts) if verdicts and self._is_told else chunk)

    def sentences(self) -> GuardedSentences | None:
        """What reads one sequence of the answer by its meaning, after `answer`; None: nothing."""
        return GuardedSentences.of(self._guards, self._compiled, self.note)

    def answer(self, call: Call) -> GuardedAnswer:
        """What guards one sequence of the answer."""
        return GuardedAnswer(
            self._compiled,
            call.tools or (),
            self._run,
            self._placeholders,
            self.note,
            self._guards.failed,
        )

    def note(self, verdicts: Iterable[Verdict]) -> None:
        for verdict in verdicts:
            if verdict.action is not Action.ALLOW:
                self._verdicts.add(verdict)
                self._guards.tell(verdict)
                self._stop_by(verdict)

    def _stop_by(self, verdict: Verdict) -> None:
        """What an answer is stopped by is no fault of the prompt, which may still be read."""
        if verdict.action in STOPS and verdict.stage in _OF_PROMPT:
            self._stopping = max(self._stopping or verdict, verdict, key=_gravity)

    @property
    def _spotlights(self) -> bool:
        return self._compiled.policy.is_spotlit and self._guards.can_spotlight

    def _examined(self, told: Told) -> str:
        guard = self._compiled.guard if told.is_asked else self._compiled.data_guard
        try:
            examined = guard.examine(
                told.text, told.stage, place=told.place, placeholders=self._placeholders
            )
        except Exception as error:
            self._failed(error)
            examined = Examined(told.text)
        self.note(examined.verdicts)
        if told.is_asked:
            self._passages.append(Passage(examined.text, told.stage, told.place))
        is_marked = told.stage in UNTRUSTED and self._spotlights
        return marked(examined.text) if is_marked else examined.text

    async def _read_by_meaning(self) -> tuple[Verdict, ...]:
        return await meaning.read(self._compiled, self._passages, self._guards.embeddings)

    def _failed(self, error: Exception) -> None:
        self._guards.failed(error)
        if self._compiled.policy.on_failure is OnFailure.CLOSED:
            raise Unavailable("the guardrails could not read this request; try again soon")

    def _refuse_blocked(self) -> None:
        if self._stopping is not None:
            raise Blocked(self._words(self._stopping))

    def _tell_rest(self) -> None:
        verdicts = self._verdicts.take()
        if verdicts and self._is_told:
            self._emit(Chunk(verdicts=verdicts))

    def _words(self, verdict: Verdict) -> str:
        if not self._compiled.policy.is_explained:
            return "a guardrail blocks this request"
        what = f" ({verdict.what})" if verdict.what else ""
        where = "the prompt" if verdict.place is None else f"message {verdict.place}"
        return (
            f"the guardrail '{verdict.check}'{what} of policy '{self._compiled.policy.id}' blocks "
            f"{where}; put it in other words, or ask an operator"
        )

    def _check_approvals(self, call: Call) -> None:
        schemas = {name_of(t): t["function"].get("parameters") for t in call.tools or ()}
        unapproved = self._compiled.tools.unapproved(
            call.messages or (), self._grant.run.approved, schemas
        )
        if unapproved:
            first = unapproved[0]
            raise ApprovalPending(
                f"the call '{first.id}' of '{first.name[:64]}' has a result, but nobody has "
                "approved it; wait for the approval, then send the request again"
            )


def _gravity(verdict: Verdict) -> tuple[int, float]:
    return STRENGTH[verdict.action], verdict.score
