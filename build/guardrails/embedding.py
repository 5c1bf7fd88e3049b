"""Texts to vectors by the model that Conch serves, without Triton."""

from collections.abc import Sequence

from serving.engines.embedding import Embedder
from serving.engines.embedding_weights import installed
from serving.guardrails.meaning import Vectors

THREADS = 2


def embedded(texts: Sequence[str]) -> Vectors:
    """[texts, 384]."""
    embedder = Embedder.load(installed(), threads=THREADS)
    job = embedder.job(texts)
    for _ in embedder.run([job]):
        pass
    return job.vectors
