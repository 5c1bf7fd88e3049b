"""Every tensor of the contract is read for TensorRT-LLM's LLM API, or refused by its name."""

import math

import numpy as np
import pytest

from serving.bls.engine_tensors import word_list
from serving.contract.calls import Guide
from serving.contract.errors import InvalidRequest, PromptTooLong, UnsupportedParameter
from serving.contract.tensors import ENGINE_INPUTS
from serving.engines.llmapi_requests import parse_rows
from serving.engines.llmapi_sampling import end_of_stop, guided, sampling
from serving.engines.requests import Capacity

CAPACITY = Capacity(context_tokens=100, kv_tokens=1000, vocab_size=50)
NUMPY = {"INT32": np.int32, "FP32": np.float32, "BOOL": np.bool_, "UINT64": np.uint64}
NUMPY |= {"FP16": np.float16, "STRING": np.object_}
TABLE = {tensor.name: tensor for tensor in ENGINE_INPUTS}
SAMPLED = {"runtime_top_p": 0.9, "seed": 7}


def tensor(name, value):
    """`value` as the model sees it: scalars without the dimension that the client sends."""
    if isinstance(value, np.ndarray):
        return value
    dtype = NUMPY[TABLE[name].dtype]
    return np.array([value], dtype) if TABLE[name].is_scalar else np.array([[value]], dtype)


def parsed(**tensors):
    arrays = {"input_ids": np.array([[5, 6]], np.int32)}
    arrays |= {"input_lengths": tensor("input_lengths", 2)}
    arrays |= {"request_output_len": tensor("request_output_len", 3)}
    (row,) = parse_rows(arrays | {k: tensor(k, v) for k, v in tensors.items()}, CAPACITY)
    return row


def refusal(kind, **tensors):
    with pytest.raises(kind) as refused:
        parsed(**tensors)
    return refused.value


def params(sequence=0, **tensors):
    return sampling(parsed(**tensors), sequence)


BIAS = np.linspace(-1, 1, 50, dtype=np.float32)[None]


# input -> value -> the field of SamplingParams and what it becomes
HONOURED = {
    "request_output_len": (7, "max_tokens", 7),
    "end_id": (9, "end_id", 9),
    "stop_words_list": (word_list([[4], [5], [6, 7]]), "stop_token_ids", [4, 5]),
    "bad_words_list": (word_list([[8], [9]]), "bad_token_ids", [8, 9]),
    "temperature": (0.5, "temperature", 0.5),
    "runtime_top_k": (40, "top_k", 40),
    "runtime_top_p": (0.5, "top_p", 0.5),
    "runtime_top_p_min": (0.25, "top_p_min", 0.25),
    "runtime_top_p_decay": (0.5, "top_p_decay", 0.5),
    "runtime_top_p_reset_ids": (3, "top_p_reset_ids", 3),
    "repetition_penalty": (1.5, "repetition_penalty", 1.5),
    "presence_penalty": (-2.0, "presence_penalty", -2.0),
    "frequency_penalty": (2.0, "frequency_penalty", 2.0),
    "min_tokens": (2, "min_tokens", 2),
    "seed": (2**64 - 1, "seed", 2**64 - 1),
    "return_log_probs": (True, "logprobs", 1),
    "return_perf_metrics": (True, "return_perf_metrics", True),
}
# Not the library's to know: they are about what is answered, and when.
ANSWERED = {
    "input_ids",
    "input_lengths",
    "num_return_sequences",
    "pad_id",
    "return_num_input_tokens",
    "return_num_output_tokens",
    "exclude_input_in_output",
    "stop",
    "streaming",
}
OTHERWISE = {
    "embedding_bias",
    "lora_task_id",
    "lora_weights",
    "lora_config",
    "guided_decoding_guide_type",
    "guided_decoding_guide",
}
REFUSED = {
    "beam_width": 2,
    "len_penalty": 0.5,
    "early_stopping": True,
    "beam_search_diversity_rate": 0.5,
    "return_context_logits": True,
    "return_generation_logits": True,
}


def test_every_tensor_of_the_contract_is_honoured_or_refused():
    assert TABLE.keys() == HONOURED.keys() | ANSWERED | OTHERWISE | REFUSED.keys()


@pytest.mark.parametrize("name", HONOURED)
def test_a_tensor_reaches_the_library(name):
    value, field, expected = HONOURED[name]
    assert params(**(SAMPLED | {name: value}))[field] == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_beams_or_logits_is_refused_by_name(name):
    error = refusal(UnsupportedParameter, **{name: REFUSED[name]})
    assert (error.param, name in error.message) == (name, True)


@pytest.mark.parametrize("name", REFUSED)
def test_asking_for_nothing_special_is_no_refusal(name):
    neutral = {"beam_width": 1, "len_penalty": 1.0}.get(name, 0)
    assert parsed(**{name: neutral}).max_tokens == 3


def test_a_logit_bias_is_read_whole():
    assert parsed(embedding_bias=BIAS).logit_bias.tolist() == BIAS[0].tolist()


@pytest.mark.parametrize("bias", [BIAS[:, 1:], np.full((1, 50), math.nan, np.float32)])
def test_a_logit_bias_of_another_size_or_without_numbers_is_refused(bias):
    assert refusal(InvalidRequest, embedding_bias=bias).param == "embedding_bias"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("runtime_top_p_min", 0.0),
        ("runtime_top_p_decay", 1.5),
        ("runtime_top_p_decay", math.nan),
        ("runtime_top_p_reset_ids", 50),
        ("runtime_top_p_reset_ids", -1),
        ("bad_words_list", word_list([[50]])),
        ("bad_words_list", np.zeros((1, 3), np.int32)),
        ("temperature", -1.0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    assert refusal(InvalidRequest, **{name: value}).param == name


def test_a_bad_word_of_several_tokens_is_refused_and_not_halved():
    error = refusal(UnsupportedParameter, bad_words_list=word_list([[8], [9, 10]]))
    assert "several tokens" in error.message


def test_an_empty_word_list_says_nothing():
    assert params(bad_words_list=np.zeros((1, 2, 0), np.int32))["bad_token_ids"] is None
    assert params(bad_words_list=np.full((1, 2, 2), -1, np.int32))["bad_token_ids"] is None


def test_what_does_not_fit_is_refused():
    assert refusal(PromptTooLong, request_output_len=99).param == "input_ids"


@pytest.mark.parametrize("tensors", [{}, {"temperature": 0.0}, {"runtime_top_k": 1}])
def test_greedy_asks_the_library_for_the_best_token_and_nothing_else(tensors):
    given = params(**tensors)
    assert given["top_k"] == 1
    assert not {"temperature", "top_p", "seed"} & given.keys()


def test_without_an_end_the_answer_runs_to_its_length():
    assert params()["ignore_eos"] is True
    assert params(end_id=3)["ignore_eos"] is False


def test_each_sequence_has_a_seed_of_its_own():
    assert [params(i, **SAMPLED)["seed"] for i in range(3)] == [7, 8, 9]
    assert params(1, runtime_top_k=5, seed=2**64 - 1)["seed"] == 0


def test_without_a_seed_two_answers_differ():
    assert params(runtime_top_k=5)["seed"] != params(runtime_top_k=5)["seed"]


@pytest.mark.parametrize(
    ("guide", "field"),
    [
        (Guide("json"), {"json_object": True}),
        (Guide("json_schema", "{}"), {"json": "{}"}),
        (Guide("regex", "a+"), {"regex": "a+"}),
        (Guide("ebnf_grammar", 'root ::= "a"'), {"grammar": 'root ::= "a"'}),
    ],
)
def test_a_guide_is_one_field(guide, field):
    assert guided(guide) == field


@pytest.mark.parametrize(
    ("tokens", "made", "end"),
    [
        ([1, 2, 3], 0, None),
        ([1, 8, 9, 3], 0, 3),
        ([1, 8, 9], 2, 3),
        ([1, 8, 9], 3, None),
        ([9], 0, None),
        ([7], 0, None),
    ],
)
def test_a_stop_sequence_ends_where_its_last_token_is(tokens, made, end):
    assert end_of_stop(tokens, [(8, 9), (7,)], made) == end
