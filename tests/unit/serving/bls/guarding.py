"""Guardrails for tests: policies as a gateway sends them, and an embedding model that is told what
to do."""

import asyncio
import time
from dataclasses import dataclass, field, replace

import numpy as np

from serving.bls.embeddings import Embeddings
from serving.bls.guards import Compiled, Guards, compiled
from serving.contract.calls import Call
from serving.contract.grant import Grant, sign
from serving.contract.guardrails import Action, Check, CheckKind, GuardrailPolicy, Stage, Verdict
from serving.guardrails.wire import sealed

KEY = b"k" * 32
FORBIDDEN = "forbidden"  # what texts on the one topic of the tests have in them


@dataclass
class ToldEmbedding:
    """`infer` of an embedding model: texts with FORBIDDEN in them have one vector, others another.

    It answers while `is_open` is set, and then fails with `error` if there is one.
    """

    error: Exception | None = None
    asked: list[list[str]] = field(default_factory=list)
    running: int = 0

    def __post_init__(self) -> None:
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def __call__(self, model, arrays, outputs, *, request_id):
        texts = [text.decode() for text in arrays["text"][0]]
        self.asked.append(texts)
        self.running += 1
        try:
            await self.is_open.wait()
            if self.error is not None:
                raise self.error
            vectors = [(1.0, 0.0) if FORBIDDEN in text else (0.0, 1.0) for text in texts]
            yield {"embedding": np.array([vectors], np.float32)}
        finally:
            self.running -= 1


@dataclass
class Heard:
    """What the guards of a model have told."""

    verdicts: list[Verdict] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)

    def guards(self, embedding: ToldEmbedding | None = None, **options: bool) -> Guards:
        made = None if embedding is None else Embeddings(embedding)
        tell, failed, waited = self.verdicts.append, self.failures.append, self.waits_ms.append
        return Guards(made, tell, failed, waited, **options)


def policy(*checks: Check, **options: object) -> GuardrailPolicy:
    return GuardrailPolicy("mine", checks, **options)


def ready(*checks: Check, **options: object) -> Compiled:
    made = sealed(policy(*checks, **options))
    return compiled(made.text, made.reference)


def topic(action: Action, *stages: Stage) -> Check:
    return Check(CheckKind.TOPICS, action, stages, phrases=(FORBIDDEN,))


def words(action: Action, phrase: str, *stages: Stage) -> Check:
    return Check(CheckKind.WORDS, action, stages, phrases=(phrase,))


def under(policy: GuardrailPolicy, call: Call, **granted: object) -> Call:
    """`call` as a gateway sends it for a caller with this policy, as the request r-1 of m."""
    made = sealed(policy)
    grant = Grant("r-1", "m", "t", time.time() + 30, tools=None, guardrails=made.reference)
    return replace(call, grant=sign(replace(grant, **granted), KEY), guardrails=made.text)
