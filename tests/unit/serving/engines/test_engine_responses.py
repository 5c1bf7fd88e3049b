"""An update becomes the outputs that the engine contract declares."""

from itertools import product

import numpy as np
import pytest

from serving.contract.tensors import ENGINE_OUTPUTS
from serving.engines.messages import Update
from serving.engines.requests import EngineRequest
from serving.engines.responses import encode

NUMPY = {"INT32": np.int32, "FP32": np.float32, "INT64": np.int64}
FLAGS = ("has_logprobs", "has_timings", "counts_input", "counts_output")


def request(**fields):
    return EngineRequest(np.array([8, 9], np.int64), 5, **fields)


def update(*tokens, **fields):
    logprobs = [-float(token) for token in tokens]
    return Update((1, 3, 2), list(tokens), logprobs, cum_logprob=-0.5, **fields)


def encoded(made, asked, *, is_batched=False):
    return encode(made, asked, arrival_ns=10, is_batched=is_batched)


@pytest.mark.parametrize("flags", list(product([False, True], repeat=4)))
def test_every_output_has_its_declared_type_and_dims(flags):
    asked = request(n=2, **dict(zip(FLAGS, flags, strict=True)))
    arrays = encoded(update(1, 2, is_last=True), asked, is_batched=True)
    table = {tensor.name: tensor for tensor in ENGINE_OUTPUTS}
    for name, array in arrays.items():
        assert array.dtype == NUMPY[table[name].dtype], name
        assert array.ndim == len(table[name].dims) + 1, name
    if all(flags):
        assert arrays.keys() == table.keys()


def test_a_plain_answer_has_tokens_and_their_number_only():
    arrays = encoded(update(1, 2), request())
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "output_ids": [[[1, 2]]],
        "sequence_length": [[2]],
    }


def test_the_input_goes_before_the_first_tokens_when_asked_for():
    asked = request(is_input_excluded=False, counts_output=True)
    first = encoded(update(1, is_first=True), asked)
    assert first["output_ids"].tolist() == [[[8, 9, 1]]]
    assert (first["sequence_length"].item(), first["num_output_tokens"].item()) == (3, 1)
    assert encoded(update(2), asked)["output_ids"].tolist() == [[[2]]]


def test_rows_and_sequences_are_told_apart():
    arrays = encoded(update(1), request(n=3), is_batched=True)
    assert (arrays["batch_index"].item(), arrays["sequence_index"].item()) == (3, 2)


def test_times_come_with_the_last_tokens():
    asked = request(has_timings=True)
    times = {"first_scheduled_ns": 11, "first_token_ns": 12, "last_token_ns": 13}
    assert "arrival_time_ns" not in encoded(update(1, **times), asked)
    last = encoded(update(1, is_last=True, **times), asked)
    names = ("arrival", "first_scheduled", "first_token", "last_token")
    assert [last[f"{name}_time_ns"].item() for name in names] == [10, 11, 12, 13]


def test_an_end_without_tokens_is_an_answer_too():
    asked = request(has_logprobs=True)
    arrays = encoded(Update((1, 0, 0), is_last=True), asked)
    assert arrays["output_ids"].shape == (1, 1, 0)
    assert arrays["output_log_probs"].shape == (1, 1, 0)
    assert arrays["sequence_length"].item() == 0
