"""The tensors of every Triton model Conch serves: the one definition config.pbtxt comes from.

Names, types and dims are those of TensorRT-LLM 1.2.1's `tensorrt_llm` and `tensorrt_llm_bls`. Left
out are speculative decoding, encoders and disaggregated serving: Triton refuses their tensors by
name. What Conch adds is marked. Dims exclude the batch
dimension; on the wire every tensor is [batch, *dims].
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output. `is_scalar` adds `reshape { shape: [] }`, so the model sees [batch]."""

    name: str
    dtype: str
    dims: tuple[int, ...] = (1,)
    is_optional: bool = True
    is_scalar: bool = False
    is_ragged: bool = False


def _scalars(dtype: str, *names: str) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, dtype, is_scalar=True) for name in names)


def _singles(dtype: str, *names: str) -> tuple[Tensor, ...]:
    return tuple(Tensor(name, dtype) for name in names)


ENGINE_INPUTS: tuple[Tensor, ...] = (
    Tensor("input_ids", "INT32", (-1,), is_ragged=True),
    Tensor("input_lengths", "INT32", is_optional=False, is_scalar=True),
    Tensor("request_output_len", "INT32", is_optional=False, is_scalar=True),
    *_scalars("INT32", "num_return_sequences", "end_id", "pad_id"),
    Tensor("stop_words_list", "INT32", (2, -1), is_ragged=True),
    Tensor("bad_words_list", "INT32", (2, -1), is_ragged=True),
    Tensor("embedding_bias", "FP32", (-1,), is_ragged=True),
    *_scalars("INT32", "beam_width"),
    *_scalars("FP32", "temperature"),
    *_scalars("INT32", "runtime_top_k"),
    *_scalars("FP32", "runtime_top_p", "runtime_top_p_min", "runtime_top_p_decay"),
    *_scalars("INT32", "runtime_top_p_reset_ids"),
    *_scalars("FP32", "len_penalty"),
    *_scalars("BOOL", "early_stopping"),
    *_scalars("FP32", "repetition_penalty"),
    *_scalars("INT32", "min_tokens"),
    *_scalars("FP32", "beam_search_diversity_rate", "presence_penalty", "frequency_penalty"),
    *_scalars("UINT64", "seed"),
    *_scalars(
        "BOOL",
        "return_log_probs",
        "return_context_logits",
        "return_generation_logits",
        "return_perf_metrics",
        "return_num_input_tokens",
        "return_num_output_tokens",
        "exclude_input_in_output",
        "stop",
        "streaming",
    ),
    *_scalars("UINT64", "lora_task_id"),
    Tensor("lora_weights", "FP16", (-1, -1), is_ragged=True),
    Tensor("lora_config", "INT32", (-1, 3), is_ragged=True),
    *_singles("STRING", "guided_decoding_guide_type", "guided_decoding_guide"),
)

TIMING_OUTPUTS: tuple[Tensor, ...] = _singles(
    "INT64",
    "arrival_time_ns",
    "first_scheduled_time_ns",
    "first_token_time_ns",
    "last_token_time_ns",
)

ENGINE_OUTPUTS: tuple[Tensor, ...] = (
    Tensor("output_ids", "INT32", (-1, -1)),
    Tensor("sequence_length", "INT32", (-1,)),
    Tensor("cum_log_probs", "FP32", (-1,)),
    Tensor("output_log_probs", "FP32", (-1, -1)),
    *_singles("INT32", "batch_index", "sequence_index"),
    *TIMING_OUTPUTS,
    *_singles("INT32", "num_input_tokens", "num_output_tokens"),
)

BLS_INPUTS: tuple[Tensor, ...] = (
    Tensor("text_input", "STRING"),
    Tensor("max_tokens", "INT32"),
    Tensor("bad_words", "STRING", (-1,)),
    Tensor("stop_words", "STRING", (-1,)),
    *_singles("BOOL", "exclude_input_in_output"),
    *_singles("INT32", "end_id", "pad_id", "top_k"),
    *_singles("FP32", "top_p", "temperature", "length_penalty", "repetition_penalty"),
    *_singles("INT32", "min_tokens"),
    *_singles("FP32", "presence_penalty", "frequency_penalty"),
    *_singles("UINT64", "seed"),
    *_singles("BOOL", "return_log_probs", "return_context_logits", "return_generation_logits"),
    *_singles("INT32", "num_return_sequences", "beam_width"),
    *_singles("BOOL", "stream"),
    Tensor("embedding_bias_words", "STRING", (-1,)),
    Tensor("embedding_bias_weights", "FP32", (-1,)),
    *_singles("UINT64", "lora_task_id"),
    Tensor("lora_weights", "FP16", (-1, -1)),
    Tensor("lora_config", "INT32", (-1, 3)),
    *_singles("BOOL", "return_perf_metrics", "return_num_input_tokens", "return_num_output_tokens"),
    *_singles("STRING", "guided_decoding_guide_type", "guided_decoding_guide"),
    # Conch's own
    Tensor("input_ids", "INT32", (-1,)),
    *_singles("STRING", "messages", "response_format", "grant", "adapter", "control"),
    *_singles("STRING", "tools", "tool_choice", "guardrails"),
    *_singles("STRING", "priority", "session"),
    *_singles("INT32", "deadline_ms", "timeout_ms", "ttft_timeout_ms", "idle_timeout_ms"),
)

BLS_OUTPUTS: tuple[Tensor, ...] = (
    Tensor("text_output", "STRING", (-1,)),
    Tensor("cum_log_probs", "FP32", (-1,)),
    Tensor("output_log_probs", "FP32", (-1, -1)),
    *_singles("INT32", "sequence_index"),
    *TIMING_OUTPUTS,
    *_singles("INT32", "num_input_tokens", "num_output_tokens"),
    # Conch's own: JSON, each absent where it has nothing to say
    *_singles("STRING", "logprobs", "finish_reason", "usage", "timings", "control", "state"),
    *_singles("STRING", "reasoning", "tool_calls", "verdicts"),
)

# The classic ensemble: names of NVIDIA's preprocessing and postprocessing models.
PREPROCESSING_INPUTS: tuple[Tensor, ...] = (
    Tensor("QUERY", "STRING", is_optional=False),
    Tensor("REQUEST_OUTPUT_LEN", "INT32", is_optional=False),
    Tensor("STOP_WORDS_DICT", "STRING", (-1,)),
)

PREPROCESSING_OUTPUTS: tuple[Tensor, ...] = (
    Tensor("INPUT_ID", "INT32", (-1,)),
    Tensor("REQUEST_INPUT_LEN", "INT32"),
    Tensor("REQUEST_OUTPUT_LEN", "INT32"),
    Tensor("STOP_WORDS_IDS", "INT32", (2, -1)),
    Tensor("OUT_END_ID", "INT32"),
)

POSTPROCESSING_INPUTS: tuple[Tensor, ...] = (
    Tensor("TOKENS_BATCH", "INT32", (-1, -1), is_optional=False),
    Tensor("SEQUENCE_LENGTH", "INT32", (-1,), is_optional=False),
)

POSTPROCESSING_OUTPUTS: tuple[Tensor, ...] = (Tensor("OUTPUT", "STRING", (-1,)),)

ENSEMBLE_INPUTS: tuple[Tensor, ...] = (
    Tensor("text_input", "STRING", is_optional=False),
    Tensor("max_tokens", "INT32", is_optional=False),
    Tensor("stop_words", "STRING", (-1,)),
    *_singles("INT32", "top_k"),
    *_singles("FP32", "top_p", "temperature", "repetition_penalty"),
    *_singles("INT32", "min_tokens"),
    *_singles("FP32", "presence_penalty", "frequency_penalty"),
    *_singles("UINT64", "seed"),
)

ENSEMBLE_OUTPUTS: tuple[Tensor, ...] = (Tensor("text_output", "STRING", (-1,)),)

# What guardrails say of texts, [n] each: a model that every base model shares.
GUARD_INPUTS: tuple[Tensor, ...] = (
    Tensor("text", "STRING", (-1,), is_optional=False, is_ragged=True),
    Tensor("stage", "STRING"),  # of all of them; absent: input
    Tensor("policy", "STRING"),  # JSON; absent: the default one
)

GUARD_OUTPUTS: tuple[Tensor, ...] = (
    Tensor("verdicts", "STRING", (-1,)),  # JSON, a list for each text
    Tensor("redacted", "STRING", (-1,)),
)

# Texts to unit vectors: a model that every base model shares.
EMBEDDING_INPUTS: tuple[Tensor, ...] = (
    Tensor("text", "STRING", (-1,), is_optional=False, is_ragged=True),
)

EMBEDDING_OUTPUTS: tuple[Tensor, ...] = (
    Tensor("embedding", "FP32", (-1, 384)),
    Tensor("token_count", "INT32", (-1,)),  # as computed, [CLS] and [SEP] among them
    Tensor("is_truncated", "BOOL", (-1,)),  # the text was longer than the model reads
)
