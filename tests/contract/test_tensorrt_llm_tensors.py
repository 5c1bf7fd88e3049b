"""Our tensor tables against those of TensorRT-LLM 1.2.1, row by row as its config.pbtxt has them.

Left out on purpose: encoder, draft, multimodal, disaggregated, retention and lookahead tensors.
"""

import re
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from enginebuild.repository import Deployment, entries
from serving.contract.engine_kinds import (
    UPSTREAM_EXTRA_INPUTS,
    EngineKind,
    lora_columns,
    mismatches,
    recognise,
)
from serving.contract.pbtxt import render
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

# What Conch never sends; an engine may have it.
UPSTREAM_ENGINE_EXTRA_INPUTS = """
encoder_input_features FP16 [-1,-1] ragged
encoder_output_lengths INT32 [1] R
draft_input_ids INT32 [-1] ragged
decoder_input_ids INT32 [-1] ragged
decoder_input_lengths INT32 [1] R
draft_logits FP32 [-1,-1] ragged
draft_acceptance_threshold FP32 [1] R
prompt_embedding_table FP16 [-1,-1] ragged
prompt_table_extra_ids UINT64 [-1] ragged
prompt_vocab_size INT32 [1] R
cross_attention_mask BOOL [-1,-1]
mrope_rotary_cos_sin FP32 [-1]
mrope_position_deltas INT64 [1]
skip_cross_attn_blocks BOOL [1]
context_phase_params UINT8 [-1] ragged
retention_token_range_starts INT32 [-1] ragged
retention_token_range_ends INT32 [-1] ragged
retention_token_range_priorities INT32 [-1] ragged
retention_token_range_durations_ms INT32 [-1] ragged
retention_decode_priority INT32 [1]
retention_decode_duration_ms INT32 [1]
lookahead_window_size INT32 [1]
lookahead_ngram_size INT32 [1]
lookahead_verification_set_size INT32 [1]
"""

UPSTREAM_ENGINE_EXTRA_OUTPUTS = """
context_logits FP32 [-1,-1]
generation_logits FP32 [-1,-1,-1]
context_phase_params UINT8 [-1]
kv_cache_alloc_new_blocks INT32 [1]
kv_cache_reused_blocks INT32 [1]
kv_cache_alloc_total_blocks INT32 [1]
acceptance_rate FP32 [1]
total_accepted_draft_tokens INT32 [1]
total_draft_tokens INT32 [1]
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
    "adapter",
    "control",
    "grant",
    "input_ids",
    "messages",
    "response_format",
    "tools",
    "tool_choice",
    "guardrails",
    "verdicts",
    "priority",
    "session",
    "deadline_ms",
    "timeout_ms",
    "ttft_timeout_ms",
    "idle_timeout_ms",
    "logprobs",
    "finish_reason",
    "usage",
    "timings",
    "state",
    "reasoning",
    "tool_calls",
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


# name, type, dims, R for `reshape { shape: [] }`, ragged: as a block of config.pbtxt
ROW = re.compile(r"(\S+) (\S+) \[(.*)\]( R)?( ragged)?")
REQUIRED = {"input_lengths", "request_output_len"}


def block(kind, row):
    name, dtype, dims, is_scalar, is_ragged = ROW.fullmatch(row).groups()
    lines = [f'name: "{name}"', f"data_type: TYPE_{dtype}", f"dims: [ {dims} ]"]
    lines += ["reshape: { shape: [ ] }"] * bool(is_scalar)
    lines += ["optional: true"] * (kind == "input" and name not in REQUIRED)
    lines += ["allow_ragged_batch: true"] * bool(is_ragged)
    return f"{kind} {{ {' '.join(lines)} }}"


def upstream_config(*, columns=3, parameters="", decoupled="true", batch=64):
    """NVIDIA's config.pbtxt of the engine, filled in."""
    rows = lines(UPSTREAM_ENGINE_INPUTS) + lines(UPSTREAM_ENGINE_EXTRA_INPUTS)
    inputs = [block("input", row) for row in rows]
    rows = lines(UPSTREAM_ENGINE_OUTPUTS) + lines(UPSTREAM_ENGINE_EXTRA_OUTPUTS)
    outputs = [block("output", row) for row in rows]
    head = f'name: "tensorrt_llm" backend: "tensorrtllm" max_batch_size: {batch}'
    policy = f"model_transaction_policy {{ decoupled: {decoupled} }}"
    text = "\n".join([head, policy, *inputs, *outputs, parameters])
    return as_triton_tells(text.replace("[ -1,3 ]", f"[ -1,{columns} ]"))


def as_triton_tells(text):
    """A config.pbtxt as the JSON of GET /v2/models/<name>/config."""
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    return json_format.MessageToDict(config, preserving_proto_field_name=True)


@pytest.mark.parametrize("columns", [3, 4])
def test_nvidias_config_is_recognised_and_fits(columns):
    config = upstream_config(columns=columns)
    assert recognise(config) == EngineKind.TRTLLM
    assert mismatches(config) == ()
    assert lora_columns(config) == columns


def test_the_extra_inputs_of_upstream_are_all_known():
    names = {row.split()[0] for row in lines(UPSTREAM_ENGINE_EXTRA_INPUTS)}
    assert UPSTREAM_EXTRA_INPUTS - {"no_repeat_ngram_size"} == names


def test_a_template_variable_left_open_fails():
    parameters = (
        'parameters { key: "gpt_model_path" value: { string_value: "${engine_dir}" } }'
        'parameters { key: "max_beam_width" value: { string_value: "1" } }'
    )
    (reason,) = mismatches(upstream_config(parameters=parameters))
    assert "gpt_model_path" in reason
    assert "${engine_dir}" in reason


def test_an_engine_that_cannot_stream_or_has_no_batch_dimension_fails():
    assert "decoupled" in "".join(mismatches(upstream_config(decoupled="false")))
    assert "max_batch_size is 0" in "".join(mismatches(upstream_config(batch=0)))


def rendered(suffix):
    """The model of a deployment as Triton reads what `conch build` writes."""
    (entry,) = (e for e in entries(Deployment("any", "model")) if e.name == f"any{suffix}")
    return as_triton_tells(render(entry))


def parsed_rows(tensors):
    """Tensors of a parsed config in the words of the texts above."""
    for tensor in tensors:
        dims = ",".join(map(str, map(int, tensor["dims"])))
        marks = [" R"] * ("reshape" in tensor) + [" ragged"] * tensor.get("allow_ragged_batch", 0)
        dtype = tensor["data_type"].removeprefix("TYPE_")
        yield tensor["name"], f"{tensor['name']} {dtype} [{dims}]{''.join(marks)}"


def with_columns(text):
    """`lora_config` with 3 columns as in the template, or with the 4 that converters write."""
    return [text, text.replace("lora_config INT32 [-1,3]", "lora_config INT32 [-1,4]")]


@pytest.mark.parametrize(
    ("suffix", "kind", "upstream"),
    [
        ("_engine", "input", UPSTREAM_ENGINE_INPUTS),
        ("_engine", "output", UPSTREAM_ENGINE_OUTPUTS),
        ("", "input", UPSTREAM_BLS_INPUTS),
        ("", "output", UPSTREAM_BLS_OUTPUTS),
    ],
)
def test_what_is_rendered_reads_back_as_upstreams_table(suffix, kind, upstream):
    ours = OURS_IN_BLS if suffix == "" else set()
    written = [row for name, row in parsed_rows(rendered(suffix)[kind]) if name not in ours]
    assert Counter(written) in [Counter(lines(table)) for table in with_columns(upstream)]


def test_what_is_rendered_is_optional_where_upstream_is():
    written = rendered("_engine")["input"]
    assert {t["name"] for t in written if not t.get("optional")} == REQUIRED
    assert all(t.get("optional") for t in rendered("")["input"])


def test_what_is_rendered_keeps_the_contract_that_loading_checks():
    assert mismatches(rendered("_engine")) == ()


SHIPPED = sorted(Path(__file__).parents[2].glob("model_repository/*/config.pbtxt"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_no_shipped_config_has_a_template_variable_left_open(path):
    assert "${" not in path.read_text()
