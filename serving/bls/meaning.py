"""Checks by meaning, with vectors of the embedding model."""

import asyncio
from collections.abc import Sequence

from serving.bls.embeddings import Embeddings, Vectors
from serving.bls.guards import Compiled
from serving.contract.errors import Unavailable
from serving.contract.guardrails import MEANING, Check, CheckKind, GuardrailPolicy, Stage, Verdict
from serving.guardrails.meaning import Scores, classifier, is_read, judged, topic_scores
from serving.guardrails.meaning_windows import Passage, Window, windows

LONG = 10_000  # characters, which take about a millisecond to be cut


def reading_at(policy: GuardrailPolicy, stages: Sequence[Stage]) -> tuple[Check, ...]:
    """The checks by meaning that look at texts of one of `stages`."""
    checks = (check for check in policy.checks if check.kind in MEANING)
    return tuple(check for check in checks if any(is_read(check, stage) for stage in stages))


async def read(
    compiled: Compiled, passages: Sequence[Passage], embeddings: Embeddings | None
) -> tuple[Verdict, ...]:
    """What they come to. Raises ConchError where the embedding model is away or fails."""
    checks = reading_at(compiled.policy, [passage.stage for passage in passages])
    read = [p for p in passages if any(is_read(check, p.stage) for check in checks)]
    found = await _windows(read)
    if not found:
        return ()
    if embeddings is None:
        raise Unavailable("this model server has no embedding model")
    vectors = await embeddings.of([window.text for window in found])
    verdicts: list[Verdict] = []
    for check in checks:
        scores = await _scores(check, found, vectors, embeddings)
        verdicts += judged(check, compiled.name, found, scores)
    return tuple(verdicts)


async def _windows(passages: Sequence[Passage]) -> tuple[Window, ...]:
    """Of long texts aside: they must not hold up the streams of others."""
    if sum(len(passage.text) for passage in passages) < LONG:
        return windows(passages)
    return await asyncio.to_thread(windows, passages)


async def _scores(
    check: Check, found: Sequence[Window], vectors: Vectors, embeddings: Embeddings
) -> Scores:
    if check.kind is CheckKind.CLASSIFIER:
        return classifier().scores(vectors, found)
    return topic_scores(vectors, await embeddings.of(check.phrases))
