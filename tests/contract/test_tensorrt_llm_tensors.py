"""Our tensor tables against those of TensorRT-LLM 1.2.1, row by row as its config.pbtxt has them.

Left out on purpose: encoder, draft, multimodal, disaggregated, retention and lookahead tensors.
"""

import pytest

from serving.contract.tensors import (
    BLS_INPUTS,
    BLS_OUTPUTS,
    ENGINE_INPUTS,
    ENGINE_OUTPUTS,
    ENSEMBLE_INPUTS,
    ENSEMBLE_OUTPUTS,
    POSTPROCESSING_INPUTS,
    POSTPROCESSING_OUTPUTS,
    PREPROCESSING_INPUTS,
    PREPROCESSING_OUTPUTS,
)

# name -> type, dims, R for `reshape { shape: [] }`, ragged
UPSTREAM_ENGINE_INPUTS = """
input_ids INT32 [-1] ragged
input_lengths INT32 [1] R
request_output_len INT32 [1] R
num_return_sequences INT32 [1] R
end_id INT32 [1] R
pad_id INT32 [1] R
stop_words_list INT32 [2,-1] ragged
bad_words_list INT32 [2,-1] ragged
embedding_bias FP32 [-1] ragged
beam_width INT32 [1] R
temperature FP32 [1] R
runtime_top_k INT32 [1] R
runtime_top_p FP32 [1] R
runtime_top_p_min FP32 [1] R
runtime_top_p_decay FP32 [1] R
runtime_top_p_reset_ids INT32 [1] R
len_penalty FP32 [1] R
early_stopping BOOL [1] R
repetition_penalty FP32 [1] R
min_tokens INT32 [1] R
beam_search_diversity_rate FP32 [1] R
presence_penalty FP32 [1] R
frequency_penalty FP32 [1] R
seed UINT64 [1] R
return_log_probs BOOL [1] R
return_context_logits BOOL [1] R
return_generation_logits BOOL [1] R
return_perf_metrics BOOL [1] R
return_num_input_tokens BOOL [1] R
return_num_output_tokens BOOL [1] R
exclude_input_in_output BOOL [1] R
stop BOOL [1] R
streaming BOOL [1] R
lora_task_id UINT64 [1] R
lora_weights FP16 [-1,-1] ragged
lora_config INT32 [-1,3] ragged
guided_decoding_guide_type STRING [1]
guided_decoding_guide STRING [1]
"""

UPSTREAM_ENGINE_OUTPUTS = """
output_ids INT32 [-1,-1]
sequence_length INT32 [-1]
cum_log_probs FP32 [-1]
output_log_probs FP32 [-1,-1]
batch_index INT32 [1]
sequence_index INT32 [1]
arrival_time_ns INT64 [1]
first_scheduled_time_ns INT64 [1]
first_token_time_ns INT64 [1]
last_token_time_ns INT64 [1]
num_input_tokens INT32 [1]
num_output_tokens INT32 [1]
"""

UPSTREAM_BLS_INPUTS = """
text_input STRING [1]
max_tokens INT32 [1]
bad_words STRING [-1]
stop_words STRING [-1]
exclude_input_in_output BOOL [1]
end_id INT32 [1]
pad_id INT32 [1]
top_k INT32 [1]
top_p FP32 [1]
temperature FP32 [1]
length_penalty FP32 [1]
repetition_penalty FP32 [1]
min_tokens INT32 [1]
presence_penalty FP32 [1]
frequency_penalty FP32 [1]
seed UINT64 [1]
return_log_probs BOOL [1]
return_context_logits BOOL [1]
return_generation_logits BOOL [1]
num_return_sequences INT32 [1]
beam_width INT32 [1]
stream BOOL [1]
embedding_bias_words STRING [-1]
embedding_bias_weights FP32 [-1]
lora_task_id UINT64 [1]
lora_weights FP16 [-1,-1]
lora_config INT32 [-1,3]
return_perf_metrics BOOL [1]
return_num_input_tokens BOOL [1]
return_num_output_tokens BOOL [1]
guided_decoding_guide_type STRING [1]
guided_decoding_guide STRING [1]
"""

UPSTREAM_BLS_OUTPUTS = """
text_output STRING [-1]
cum_log_probs FP32 [-1]
output_log_probs FP32 [-1,-1]
sequence_index INT32 [1]
arrival_time_ns INT64 [1]
first_scheduled_time_ns INT64 [1]
first_token_time_ns INT64 [1]
last_token_time_ns INT64 [1]
num_input_tokens INT32 [1]
num_output_tokens INT32 [1]
"""

OURS_IN_BLS = {
    "grant",
    "input_ids",
    "messages",
    "response_format",
    "deadline_ms",
    "logprobs",
    "finish_reason",
    "usage",
    "timings",
}


def rows(tensors):
    """A table of ours in the words of the texts above."""
    for tensor in tensors:
        dims = ",".join(map(str, tensor.dims))
        marks = [" R"] * tensor.is_scalar + [" ragged"] * tensor.is_ragged
        yield tensor.name, f"{tensor.name} {tensor.dtype} [{dims}]{''.join(marks)}"


def lines(text):
    return text.strip().splitlines()


@pytest.mark.parametrize(
    ("tensors", "upstream"),
    [(ENGINE_INPUTS, UPSTREAM_ENGINE_INPUTS), (ENGINE_OUTPUTS, UPSTREAM_ENGINE_OUTPUTS)],
)
def test_the_engine_has_upstreams_tensors_and_no_other(tensors, upstream):
    assert sorted(row for _, row in rows(tensors)) == sorted(lines(upstream))


@pytest.mark.parametrize(
    ("tensors", "upstream"),
    [(BLS_INPUTS, UPSTREAM_BLS_INPUTS), (BLS_OUTPUTS, UPSTREAM_BLS_OUTPUTS)],
)
def test_the_bls_model_has_upstreams_tensors_and_conchs_own(tensors, upstream):
    theirs = [row for name, row in rows(tensors) if name not in OURS_IN_BLS]
    assert sorted(theirs) == sorted(lines(upstream))


def test_the_engine_requires_what_upstream_requires():
    required = {tensor.name for tensor in ENGINE_INPUTS if not tensor.is_optional}
    assert required == {"input_lengths", "request_output_len"}


def test_the_bls_model_requires_nothing_since_a_prompt_has_three_forms():
    assert all(tensor.is_optional for tensor in BLS_INPUTS)


@pytest.mark.parametrize(
    "tensors",
    [
        ENGINE_INPUTS,
        ENGINE_OUTPUTS,
        BLS_INPUTS,
        BLS_OUTPUTS,
        PREPROCESSING_INPUTS,
        PREPROCESSING_OUTPUTS,
        POSTPROCESSING_INPUTS,
        POSTPROCESSING_OUTPUTS,
        ENSEMBLE_INPUTS,
        ENSEMBLE_OUTPUTS,
    ],
)
def test_a_name_stands_once_in_a_table(tensors):
    names = [tensor.name for tensor in tensors]
    assert len(names) == len(set(names))


def test_the_ensemble_takes_the_bls_models_names():
    bls = {tensor.name: (tensor.dtype, tensor.dims) for tensor in (*BLS_INPUTS, *BLS_OUTPUTS)}
    for tensor in (*ENSEMBLE_INPUTS, *ENSEMBLE_OUTPUTS):
        assert bls[tensor.name] == (tensor.dtype, tensor.dims)
