"""The classic ensemble around the same engine, by plain tritonclient."""

import numpy as np
import pytest
from test_engine_model import connected

from serving.contract.calls import Call, Sampling
from serving.contract.errors import from_wire
from serving.contract.wire import encode_call, single, strings

TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
async def client(stack):
    async with connected(stack) as made:
        yield made


def asked(text: str, tokens: int = 30, **more):
    return {"text_input": strings([text]), "max_tokens": single("INT32", tokens)} | more


async def text_of(client, arrays):
    reply = await client.ask("demo_ensemble", arrays)
    assert (reply.error, reply.finals, len(reply.responses)) == (None, 1, 1)
    return reply.responses[0]["text_output"].item().decode()


@pytest.mark.parametrize("words", ["hello", "my name is Bob", "what is your name?"])
async def test_it_says_what_the_bls_model_says(client, words):
    call = Call(text=TURN.format(words), sampling=Sampling(max_tokens=30, temperature=0.0))
    reply = await client.ask("demo", encode_call(call))
    bls = reply.responses[0]["text_output"].item().decode()
    assert await text_of(client, asked(TURN.format(words))) == bls


async def test_sampling_reaches_the_engine(client):
    more = {
        "top_p": single("FP32", 1.0),
        "temperature": single("FP32", 1.5),
        "seed": single("UINT64", 7),
    }
    first, again = [await text_of(client, asked(TURN.format("hello"), **more)) for _ in range(2)]
    assert first == again
    other = more | {"seed": single("UINT64", 8)}
    assert await text_of(client, asked(TURN.format("hello"), **other)) != first


async def test_a_stop_word_ends_the_answer(client):
    whole = await text_of(client, asked(TURN.format("hello")))
    last = whole.split()[1]
    stopped = await text_of(client, asked(TURN.format("hello"), stop_words=strings([f" {last}"])))
    assert stopped == whole[: whole.index(f" {last}") + len(last) + 1]


@pytest.mark.parametrize(
    ("arrays", "param"),
    [
        (asked(""), "text_input"),
        (asked("a", tokens=10**6), "input_ids"),
        (asked("a", temperature=single("FP32", -1.0)), "temperature"),
        (asked("a") | {"text_input": np.array([[b"\xff"]], np.object_)}, "text_input"),
    ],
)
async def test_a_mistake_in_any_step_is_told(client, arrays, param):
    reply = await client.ask("demo_ensemble", arrays)
    error = from_wire(reply.error)
    assert (error.status, error.param, reply.responses) == (400, param, [])
    assert "Traceback" not in reply.error


async def test_a_batch_is_refused_since_its_rows_could_not_be_told_apart(client):
    rows = [TURN.format("hello"), TURN.format("my name is Bob")]
    batch = {
        "text_input": np.array([[row.encode()] for row in rows], np.object_),
        "max_tokens": np.full((2, 1), 30, np.int32),
    }
    reply = await client.ask("demo_ensemble", batch)
    assert "batch-size must be <= 1" in reply.error
