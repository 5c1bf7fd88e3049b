"""Vectors of texts: each computed once, and no more remembered than is said."""

import asyncio

import numpy as np
from guarding import FORBIDDEN, ToldEmbedding

from serving.bls import embeddings as module
from serving.bls.embeddings import MAX_TEXTS, Embeddings


async def test_a_text_is_asked_once():
    told = ToldEmbedding()
    embeddings = Embeddings(told)
    first = await embeddings.of(["a", FORBIDDEN, "a"])
    again = await embeddings.of([FORBIDDEN, "a"])
    assert first.tolist() == [[0, 1], [1, 0], [0, 1]]
    assert again.tolist() == [[1, 0], [0, 1]]
    assert told.asked == [["a", FORBIDDEN]]


async def test_no_texts_are_no_vectors():
    told = ToldEmbedding()
    assert (await Embeddings(told).of([])).size == 0
    assert told.asked == []


async def test_many_texts_go_in_several_requests():
    told = ToldEmbedding()
    vectors = await Embeddings(told).of([str(number) for number in range(MAX_TEXTS + 1)])
    assert len(vectors) == MAX_TEXTS + 1
    assert [len(texts) for texts in told.asked] == [MAX_TEXTS, 1]


async def test_what_is_forgotten_while_others_are_computed_is_still_there(monkeypatch):
    monkeypatch.setattr(module, "MAX_REMEMBERED", 1)
    told = ToldEmbedding()
    embeddings = Embeddings(told)
    await embeddings.of([FORBIDDEN])
    told.is_open.clear()
    slow = asyncio.create_task(embeddings.of([FORBIDDEN, "new"]))
    await asyncio.sleep(0)
    embeddings._known.clear()
    told.is_open.set()
    assert (await slow).tolist() == [[1, 0], [0, 1]]
    assert len(embeddings._known) == 1


async def test_a_vector_that_is_remembered_keeps_no_others_in_memory():
    embeddings = Embeddings(ToldEmbedding())
    await embeddings.of(["a", "b", "c"])
    for vector in embeddings._known.values():
        assert vector.base is None
        assert vector.dtype == np.float32
