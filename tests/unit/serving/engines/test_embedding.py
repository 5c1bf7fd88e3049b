"""Texts to vectors with the real weights, compared with what a public implementation makes."""

import numpy as np
import pytest
from embedding_reference import LONGEST, REFERENCES, TEXTS, cosines

from serving.engines.embedding import Embedder
from serving.engines.embedding_tokens import MOST_CHARACTERS, MOST_TOKENS
from serving.engines.embedding_weights import installed


@pytest.fixture(scope="module")
def embedder():
    return Embedder.load(installed(), threads=2)


def vectors(embedder, texts):
    job = embedder.job(texts)
    passed = list(embedder.run([job]))
    assert job.is_done
    assert sum(one.texts for one in passed) == len(texts)
    return job.vectors


def test_vectors_are_those_of_the_public_implementation(embedder):
    assert min(cosines(vectors(embedder, TEXTS))) >= 0.9998


def test_vectors_have_length_one(embedder):
    lengths = np.linalg.norm(vectors(embedder, TEXTS), axis=1)
    assert lengths == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_tokens_are_those_of_the_public_implementation(embedder):
    encoded = embedder.job(TEXTS).texts
    assert [len(one.ids) for one in encoded] == [reference.tokens for reference in REFERENCES]
    assert [one.is_truncated for one in encoded] == [text == LONGEST.text for text in TEXTS]


def test_company_changes_a_vector_by_no_more_than_rounding(embedder):
    alone = [vectors(embedder, [text])[0] for text in TEXTS]
    together = vectors(embedder, TEXTS)
    assert min(float(a @ b) for a, b in zip(alone, together, strict=True)) >= 0.9998


@pytest.mark.parametrize("text", ["x " * 10**6, "x" * 10**6, " " * 10**6, "世" * 10**6], ids=len)
def test_a_huge_text_is_cut_before_it_is_read(embedder, text):
    (encoded,) = embedder.job([text]).texts
    assert encoded.is_truncated
    assert len(encoded.ids) <= MOST_TOKENS


def test_what_fits_is_not_called_truncated(embedder):
    room = embedder.job(["x " * (MOST_TOKENS - 2), "x " * (MOST_TOKENS - 1), "é" * 90]).texts
    assert [one.is_truncated for one in room] == [False, True, False]
    assert 2 * MOST_TOKENS < MOST_CHARACTERS


def test_an_abandoned_job_is_left_out_and_the_others_are_done(embedder):
    given_up, kept = embedder.job(["a " * 200] * 8), embedder.job(["a " * 200, "short"])
    running = embedder.run([given_up, kept])
    assert set(next(running).jobs) == {given_up, kept}  # the short text, and some long ones
    given_up.is_abandoned = True
    assert [one.jobs for one in running] == [(kept,)]
    assert (kept.is_done, given_up.is_done) == (True, False)
