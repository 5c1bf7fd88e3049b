"""Every tensor of the engine contract is read, or refused by its name."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.bls.engine_tensors import word_list
from serving.contract.calls import Guide
from serving.contract.errors import ConchError, InvalidRequest, PromptTooLong, UnsupportedParameter
from serving.contract.tensors import ENGINE_INPUTS
from serving.engines.requests import GUIDE_KINDS, Capacity, EngineRequest, is_stop, parse

CAPACITY = Capacity(context_tokens=100, kv_tokens=1000, vocab_size=50)
NUMPY = {"INT32": np.int32, "FP32": np.float32, "BOOL": np.bool_, "UINT64": np.uint64}
NUMPY |= {"FP16": np.float16, "STRING": np.object_}
TABLE = {tensor.name: tensor for tensor in ENGINE_INPUTS}


def tensor(name, value):
    """`value` as the model sees it: scalars without the dimension that the client sends."""
    dtype = NUMPY[TABLE[name].dtype]
    return np.array([value], dtype) if TABLE[name].is_scalar else np.array([[value]], dtype)


def request(**tensors):
    """Two prompt tokens, three more wanted, and `tensors`."""
    arrays = {
        "input_ids": np.array([[5, 6]], np.int32),
        "input_lengths": np.array([2], np.int32),
        "request_output_len": np.array([3], np.int32),
    }
    given_arrays = {k: v if isinstance(v, np.ndarray) else tensor(k, v) for k, v in tensors.items()}
    return arrays | given_arrays


def parsed(**tensors) -> EngineRequest:
    (row,) = parse(request(**tensors), CAPACITY)
    return row


def refusal(kind, **tensors):
    with pytest.raises(kind) as refused:
        parse(request(**tensors), CAPACITY)
    return refused.value


def test_the_least_there_is_means_greedy_and_whole():
    row = parsed()
    assert row.input_ids.tolist() == [5, 6]
    assert (row.max_tokens, row.n, row.end_id, row.guide) == (3, 1, None, None)
    assert (row.is_greedy, row.is_streamed, row.is_input_excluded) == (True, False, True)


@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        ("request_output_len", 7, "max_tokens", 7),
        ("end_id", 9, "end_id", 9),
        ("end_id", -1, "end_id", None),
        ("temperature", 0.5, "temperature", 0.5),
        ("runtime_top_k", 40, "top_k", 40),
        ("runtime_top_p", 0.5, "top_p", 0.5),
        ("repetition_penalty", 1.5, "repetition_penalty", 1.5),
        ("presence_penalty", -2.0, "presence_penalty", -2.0),
        ("frequency_penalty", 2.0, "frequency_penalty", 2.0),
        ("min_tokens", 2, "min_tokens", 2),
        ("seed", 2**64 - 1, "seed", 2**64 - 1),
        ("num_return_sequences", 4, "n", 4),
        ("return_log_probs", True, "has_logprobs", True),
        ("streaming", True, "is_streamed", True),
        ("exclude_input_in_output", False, "is_input_excluded", False),
        ("return_perf_metrics", True, "has_timings", True),
        ("return_num_input_tokens", True, "counts_input", True),
        ("return_num_output_tokens", True, "counts_output", True),
    ],
)
def test_a_tensor_is_read(name, value, field, read):
    assert getattr(parsed(**{name: value}), field) == read


def test_a_guide_is_read():
    row = parsed(guided_decoding_guide_type=b"regex", guided_decoding_guide=b"a+")
    assert row.guide == Guide("regex", "a+")


@pytest.mark.parametrize("kind", GUIDE_KINDS)
def test_every_guide_type_of_upstream_is_known(kind):
    assert parsed(guided_decoding_guide_type=kind.encode()).guide == Guide(kind, "")


def test_a_guide_type_nobody_knows_is_refused():
    error = refusal(InvalidRequest, guided_decoding_guide_type=b"yaml")
    assert error.param == "guided_decoding_guide_type"
    assert "yaml" in error.message


@pytest.mark.parametrize("name", ["guided_decoding_guide", "guided_decoding_guide_type"])
def test_a_guide_that_is_no_utf8_is_refused(name):
    given_tensors = {"guided_decoding_guide_type": b"regex", "guided_decoding_guide": b"a"}
    error = refusal(InvalidRequest, **(given_tensors | {name: b"\xff"}))
    assert error.param == name


WEIGHTS = np.ones((1, 2, 5), np.float16)
CONFIG = np.ones((1, 2, 3), np.int32)


def test_an_adapter_is_named_by_its_id_with_or_without_weights():
    assert parsed().lora is None
    by_id = parsed(lora_task_id=2**64 - 1).lora
    assert (by_id.task_id, by_id.tensors) == (2**64 - 1, None)
    for columns in (3, 4):
        config = np.ones((1, 2, columns), np.int32)
        lora = parsed(lora_task_id=7, lora_weights=WEIGHTS, lora_config=config).lora
        assert lora.task_id == 7
        assert (lora.tensors.weights.shape, lora.tensors.config.shape) == ((2, 5), (2, columns))


def test_what_is_kept_of_a_request_has_no_weights():
    row = parsed(lora_task_id=7, lora_weights=WEIGHTS, lora_config=CONFIG, min_tokens=2)
    kept = row.without_weights()
    assert (kept.lora.task_id, kept.lora.tensors, kept.min_tokens) == (7, None, 2)
    assert kept.without_weights() is kept
    assert parsed().without_weights().lora is None


@pytest.mark.parametrize(
    ("tensors", "param", "told"),
    [
        ({"lora_weights": WEIGHTS, "lora_config": CONFIG}, "lora_task_id", "must be set"),
        ({"lora_config": CONFIG}, "lora_task_id", "must be set"),
        ({"lora_task_id": 1, "lora_weights": WEIGHTS}, "lora_config", "must have both"),
        ({"lora_task_id": 1, "lora_config": CONFIG}, "lora_weights", "must have both"),
        (
            {"lora_task_id": 1, "lora_weights": WEIGHTS, "lora_config": CONFIG[:, :, :2]},
            "lora_config",
            "Invalid shape for lora_keys",
        ),
        (
            {"lora_task_id": 1, "lora_weights": WEIGHTS[0], "lora_config": CONFIG},
            "lora_weights",
            "Invalid shape for lora_weights",
        ),
    ],
)
def test_half_an_adapter_is_refused_in_the_words_of_tensorrt_llm(tensors, param, told):
    error = refusal(InvalidRequest, **tensors)
    assert (error.param, told in error.message) == (param, True)


def test_an_engine_without_adapters_says_why():
    capacity = replace(CAPACITY, why_no_lora="it serves a GGUF file")
    with pytest.raises(UnsupportedParameter, match="GGUF") as refused:
        parse(request(lora_task_id=1), capacity)
    assert refused.value.param == "lora_task_id"
    assert parse(request(), capacity)


def test_an_engine_that_cannot_guide_says_why():
    capacity = replace(CAPACITY, why_no_guides="it has no vocabulary")
    with pytest.raises(UnsupportedParameter, match="no vocabulary") as refused:
        parse(request(guided_decoding_guide_type=b"json"), capacity)
    assert refused.value.param == "guided_decoding_guide_type"


REFUSED = {
    "embedding_bias": np.ones((1, 50), np.float32),
    "bad_words_list": np.array([[[5], [1]]], np.int32),
    "beam_width": 2,
    "runtime_top_p_min": 0.1,
    "runtime_top_p_decay": 0.9,
    "runtime_top_p_reset_ids": 3,
    "len_penalty": 0.5,
    "early_stopping": True,
    "beam_search_diversity_rate": 0.5,
    "return_context_logits": True,
    "return_generation_logits": True,
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_this_engine_cannot_do_is_refused_by_name(name):
    error = refusal(UnsupportedParameter, **{name: REFUSED[name]})
    assert (error.param, name in error.message) == (name, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("beam_width", 1),
        ("len_penalty", 1.0),
        ("early_stopping", False),
        ("beam_search_diversity_rate", 0.0),
        ("return_context_logits", False),
        ("return_generation_logits", False),
    ],
)
def test_asking_for_nothing_special_is_no_refusal(name, value):
    assert parsed(**{name: value}).max_tokens == 3


def test_every_tensor_of_the_contract_is_read_or_refused():
    """A new row of the table must be read by `parse`, or stand in its list of refusals."""
    read = {"stop"}  # by `is_stop`, before `parse`

    class Watched(dict):
        def __contains__(self, name):
            read.add(name)
            return super().__contains__(name)

        def get(self, name, default=None):
            read.add(name)
            return super().get(name, default)

        def items(self):
            return [(k, Row(v, k)) for k, v in super().items()]

    class Row:
        def __init__(self, array, name):
            self.array, self.name = array, name

        def __getitem__(self, index):
            read.add(self.name)
            return self.array[index]

    parse(Watched(request(guided_decoding_guide_type=b"json", guided_decoding_guide=b"")), CAPACITY)
    names = {"temperature", "runtime_top_k", "runtime_top_p", "seed", "min_tokens", "streaming"}
    names |= {"end_id", "num_return_sequences", "repetition_penalty", "exclude_input_in_output"}
    names |= {"presence_penalty", "frequency_penalty", "return_log_probs", "return_perf_metrics"}
    names |= {"return_num_input_tokens", "return_num_output_tokens", "stop_words_list", "pad_id"}
    names |= {"lora_task_id", "lora_weights", "lora_config"}
    assert TABLE.keys() - read - names == set()


OUT_OF_RANGE = [
    ("request_output_len", 0),
    ("request_output_len", -1),
    ("input_lengths", 0),
    ("input_lengths", -5),
    ("input_lengths", 3),
    ("temperature", -0.1),
    ("temperature", 101.0),
    ("temperature", math.nan),
    ("temperature", math.inf),
    ("runtime_top_k", -1),
    ("runtime_top_p", -0.1),
    ("runtime_top_p", 1.1),
    ("runtime_top_p", math.nan),
    ("repetition_penalty", 0.0),
    ("repetition_penalty", -1.0),
    ("repetition_penalty", math.nan),
    ("presence_penalty", 2.1),
    ("presence_penalty", -math.inf),
    ("frequency_penalty", -2.1),
    ("frequency_penalty", math.nan),
    ("min_tokens", -1),
    ("num_return_sequences", 0),
    ("num_return_sequences", 65),
]


@pytest.mark.parametrize(("name", "value"), OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_by_name(name, value):
    assert refusal(InvalidRequest, **{name: value}).param == name


@pytest.mark.parametrize("name", ["input_ids", "input_lengths", "request_output_len"])
def test_what_is_required_and_missing_is_named(name):
    arrays = request()
    del arrays[name]
    with pytest.raises(InvalidRequest, match=f"'{name}' is not present in the request") as refused:
        parse(arrays, CAPACITY)
    assert refused.value.param == name


@pytest.mark.parametrize("token_id", [-1, 50, 2**31 - 1, -(2**31)])
def test_an_id_outside_the_vocabulary_is_refused(token_id):
    ids = np.array([[5, token_id]], np.int32)
    assert refusal(InvalidRequest, input_ids=ids).param == "input_ids"
    words = np.array([[[token_id], [1]]], np.int32)
    assert refusal(InvalidRequest, stop_words_list=words).param == "stop_words_list"


def test_an_id_beyond_the_stated_length_is_padding():
    ids = np.array([[5, 6, -1, 10**6]], np.int32)
    assert parsed(input_ids=ids).input_ids.tolist() == [5, 6]


def test_what_can_never_fit_is_refused_at_once_with_both_numbers():
    error = refusal(PromptTooLong, request_output_len=99)
    assert {"2", "99", "100"} <= set(error.message.replace(",", "").split())
    assert parsed(request_output_len=98).max_tokens == 98


@given(st.lists(st.lists(st.integers(0, 49), min_size=1, max_size=4), max_size=5))
def test_word_lists_come_back_as_they_were_written(words):
    row = parsed(stop_words_list=word_list(words))
    assert row.stop_sequences == tuple(map(tuple, words))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 3), np.int32),
        np.zeros((1, 1, 3), np.int32),
        np.zeros((1, 3, 3), np.int32),
        np.array([[[1, 2], [3, -1]]], np.int32),
        np.array([[[1, 2], [2, 1]]], np.int32),
        np.array([[[1, 2], [-1, 2]]], np.int32),
    ],
)
def test_a_word_list_of_another_form_is_refused(array):
    assert refusal(InvalidRequest, stop_words_list=array).param == "stop_words_list"


@pytest.mark.parametrize("array", [np.zeros((1, 2, 0), np.int32), np.full((1, 2, 3), -1, np.int32)])
def test_an_empty_word_list_says_nothing(array):
    assert parsed(stop_words_list=array).stop_sequences == ()


def test_every_row_of_a_batch_is_a_request_of_its_own():
    arrays = {
        "input_ids": np.array([[5, 6, 0], [7, 8, 9]], np.int32),
        "input_lengths": np.array([2, 3], np.int32),
        "request_output_len": np.array([3, 4], np.int32),
        "temperature": np.array([0.0, 1.0], np.float32),
        "seed": np.array([1, 2], np.uint64),
        "stop_words_list": np.repeat(word_list([[1, 2]]), 2, axis=0),
        "guided_decoding_guide_type": np.array([[b"json"], [b"regex"]], np.object_),
        "guided_decoding_guide": np.array([[b""], [b"a"]], np.object_),
    }
    first, second = parse(arrays, CAPACITY)
    assert (first.input_ids.tolist(), second.input_ids.tolist()) == ([5, 6], [7, 8, 9])
    assert (first.max_tokens, second.max_tokens) == (3, 4)
    assert (first.seed, second.seed) == (1, 2)
    assert (first.guide, second.guide) == (Guide("json"), Guide("regex", "a"))


@pytest.mark.parametrize(
    ("tensors", "is_greedy"),
    [
        ({}, True),
        ({"temperature": 0.0, "runtime_top_k": 40}, True),
        ({"runtime_top_k": 1, "runtime_top_p": 0.5}, True),
        ({"temperature": 0.7}, True),
        ({"runtime_top_k": 2}, False),
        ({"runtime_top_p": 0.1}, False),
    ],
)
def test_sampling_is_greedy_as_in_tensorrt_llm(tensors, is_greedy):
    assert parsed(**tensors).is_greedy is is_greedy


def test_stop_is_a_request_about_another():
    assert is_stop(request(stop=True))
    assert not is_stop(request(stop=False))
    assert not is_stop(request())


@given(
    st.dictionaries(
        st.sampled_from([name for name, t in TABLE.items() if t.is_scalar and name != "stop"]),
        st.sampled_from([0, 1, 2, 5, 100]),
        max_size=6,
    )
)
def test_whatever_comes_is_read_or_refused(tensors):
    refused = None
    try:
        parse(request(**tensors), CAPACITY)
    except ConchError as error:
        refused = error
    assert refused is None or refused.param in TABLE
