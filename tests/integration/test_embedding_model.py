"""The embedding model in the real Triton, by plain tritonclient."""

import asyncio
import re
import urllib.request

import numpy as np
import pytest
from embedding_reference import LONGEST, REFERENCES, TEXTS, cosines
from tritonclient.grpc import InferInput
from tritonclient.grpc import aio as triton
from tritonclient.utils import InferenceServerException

from serving.contract.errors import InvalidRequest, from_wire

MODEL = "embedding"
CLIENTS = 32
MOST_TEXTS = 256
LONG = "the boat left the harbour before dawn " * 40
WITHIN_S = 60


@pytest.fixture
async def client(stack):
    async with triton.InferenceServerClient(stack.triton_grpc) as made:
        yield made


def inputs(texts, shape=None):
    data = np.array([text.encode() for text in texts], np.object_)
    array = data.reshape(shape or (1, len(texts)))
    return [InferInput("text", array.shape, "BYTES").set_data_from_numpy(array)]


async def ask(client, texts, shape=None):
    result = await client.infer(MODEL, inputs(texts, shape))
    return {n: result.as_numpy(n) for n in ("embedding", "token_count", "is_truncated")}


def counted(stack, name):
    """The sum of a metric of the model."""
    with urllib.request.urlopen(stack.triton_metrics_url) as page:
        lines = page.read().decode().splitlines()
    mine = [line for line in lines if re.match(rf'{name}{{.*model="{MODEL}"', line)]
    return sum(float(line.rpartition(" ")[2]) for line in mine)


async def test_vectors_are_those_of_the_public_implementation(client):
    made = await ask(client, TEXTS)
    assert made["embedding"].shape == (1, len(TEXTS), 384)
    assert min(cosines(made["embedding"][0])) >= 0.9998
    assert made["token_count"].tolist() == [[reference.tokens for reference in REFERENCES]]
    assert made["is_truncated"].tolist() == [[text == LONGEST.text for text in TEXTS]]


async def test_rows_of_a_batch_come_back_in_their_places(client):
    made = await ask(client, ["a", "b", "c", "d"], shape=(2, 2))
    assert (made["embedding"].shape, made["token_count"].shape) == ((2, 2, 384), (2, 2))
    (alone,) = (await ask(client, ["c"]))["embedding"][0]
    assert float(made["embedding"][1, 0] @ alone) >= 0.9998


async def test_requests_of_many_clients_share_batches_and_each_gets_its_own(client, stack):
    names = ("nv_inference_count", "nv_inference_exec_count", "conch_embedding_passes")
    before = [counted(stack, name) for name in names]
    texts = [TEXTS[number % len(TEXTS)] for number in range(CLIENTS)]
    made = await asyncio.gather(*(ask(client, [text]) for text in texts))
    async with asyncio.timeout(WITHIN_S):
        # Triton counts a request after it has answered it: some of others may come in between.
        while counted(stack, names[0]) - before[0] < CLIENTS:
            await asyncio.sleep(0.01)
    batches, passes = (counted(stack, n) - b for n, b in zip(names[1:], before[1:], strict=True))
    assert batches < CLIENTS  # how many fewer is for a benchmark: a busy client sends them late
    assert passes < CLIENTS
    for text, one in zip(texts, made, strict=True):
        place = TEXTS.index(text)
        assert float(one["embedding"][0, 0] @ REFERENCES[place].vector) >= 0.9998


@pytest.mark.parametrize("count", [0, MOST_TEXTS + 1])
async def test_too_few_or_too_many_texts_are_refused(client, count):
    with pytest.raises(InferenceServerException) as caught:
        await ask(client, ["x"] * count)
    error = from_wire(caught.value.message())
    assert (type(error), error.param) == (InvalidRequest, "text")
    assert f"has {count} texts, it must have 1 to {MOST_TEXTS}" in error.message


async def test_a_bad_request_is_refused_alone(client):
    bad = np.array([[b"fine", b"not \xff UTF-8"]], np.object_)
    tensor = InferInput("text", bad.shape, "BYTES").set_data_from_numpy(bad)
    results = await asyncio.gather(
        *(ask(client, [text]) for text in TEXTS),
        client.infer(MODEL, [tensor]),
        return_exceptions=True,
    )
    *fine, refused = results
    assert min(cosines([one["embedding"][0, 0] for one in fine])) >= 0.9998
    assert from_wire(refused.message()).message == "'text' is not UTF-8 (at byte 4)"


async def test_a_request_for_one_text_is_answered_before_its_neighbour_with_many(client, stack):
    answered = []

    async def noted(name, texts):
        await ask(client, texts)
        answered.append(name)

    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        begun = counted(stack, "conch_embedding_passes")
        group.create_task(noted("first", [LONG] * 32))
        while counted(stack, "conch_embedding_passes") == begun:
            await asyncio.sleep(0.01)
        # Both wait for the first one's end now, so they come into one batch.
        group.create_task(noted("many", [LONG] * 8))
        group.create_task(noted("one", ["hello"]))
    assert answered == ["first", "one", "many"]


async def test_a_client_that_hangs_up_frees_the_model(client, stack):
    before = counted(stack, "conch_embedding_tokens")
    task = asyncio.create_task(ask(client, [LONG] * MOST_TEXTS))
    async with asyncio.timeout(WITHIN_S):
        while counted(stack, "conch_embedding_tokens") == before:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await ask(client, ["hello"])
    used = counted(stack, "conch_embedding_tokens") - before
    assert used < MOST_TEXTS * 256 / 2
