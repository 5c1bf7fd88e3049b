"""Which engine a Triton model is, and where its config leaves the engine contract; pure.

Reads the model config as Triton tells it in JSON; knows neither Triton nor any engine.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from serving.contract.tensors import ENGINE_INPUTS, ENGINE_OUTPUTS, Tensor

Config = Mapping[str, Any]

KIND_PARAMETER = "engine_kind"
LORA_INPUTS = ("lora_task_id", "lora_weights", "lora_config")
LORA_COLUMNS = (3, 4)  # 4: the last one says whether the row is of a DoRA adapter

# Inputs of NVIDIA's template, and of the code behind it, that Conch never sends.
UPSTREAM_EXTRA_INPUTS = frozenset(
    {
        "encoder_input_features",
        "encoder_output_lengths",
        "draft_input_ids",
        "decoder_input_ids",
        "decoder_input_lengths",
        "draft_logits",
        "draft_acceptance_threshold",
        "prompt_embedding_table",
        "prompt_table_extra_ids",
        "prompt_vocab_size",
        "cross_attention_mask",
        "mrope_rotary_cos_sin",
        "mrope_position_deltas",
        "skip_cross_attn_blocks",
        "context_phase_params",
        "retention_token_range_starts",
        "retention_token_range_ends",
        "retention_token_range_priorities",
        "retention_token_range_durations_ms",
        "retention_decode_priority",
        "retention_decode_duration_ms",
        "lookahead_window_size",
        "lookahead_ngram_size",
        "lookahead_verification_set_size",
        "no_repeat_ngram_size",
    }
)
_EXTRA_PREFIX = "multimodal_"


class EngineKind(StrEnum):
    """What runs the model; the words of recipes and of the parameter `engine_kind`."""

    OPENVINO = "openvino"
    TRTLLM = "trtllm"
    TRTLLM_LLMAPI = "trtllm-llmapi"


_PYTHON_KINDS = (EngineKind.OPENVINO, EngineKind.TRTLLM_LLMAPI)


def recognise(config: Config) -> EngineKind:
    """The kind of the engine model that `config` is of.

    Raises ValueError with the reason when it is none that Conch can call.
    """
    name, backend = config.get("name", ""), config.get("backend", "")
    if backend == "tensorrtllm":
        return EngineKind.TRTLLM
    if backend != "python":
        raise ValueError(
            f"model '{name}' has the backend '{backend}'; an engine has 'tensorrtllm' or 'python'"
        )
    if "text_input" in _by_name(config, "input"):
        raise ValueError(_LLMAPI_TEMPLATE.format(name=name))
    return _python_kind(name, parameter(config, KIND_PARAMETER))


_LLMAPI_TEMPLATE = (
    "model '{name}' takes text_input instead of input_ids, as NVIDIA's own llmapi template does: "
    "no token ids, guided decoding, log-probabilities, token counts or LoRA weights. Build it with "
    'engine = "trtllm-llmapi" instead'
)


def _python_kind(name: str, kind: str | None) -> EngineKind:
    if kind in _PYTHON_KINDS:
        return EngineKind(kind)
    found = "has no" if kind is None else f"has '{kind}' as"
    raise ValueError(
        f"model '{name}' {found} parameter '{KIND_PARAMETER}', so it is not one of Conch's Python "
        f"models; `conch build` writes {' or '.join(_PYTHON_KINDS)}"
    )


def parameter(config: Config, key: str) -> str | None:
    """A string parameter of a model's config; None when it is absent or empty."""
    value = config.get("parameters", {}).get(key, {})
    return str(value.get("string_value", "")) or None


def lora_columns(config: Config) -> int | None:
    """How many columns its `lora_config` has, 3 or 4; None when the engine takes no LoRA."""
    inputs = _by_name(config, "input")
    if not inputs.keys() >= set(LORA_INPUTS) or parameter(config, "lora_max_adapters") == "0":
        return None
    columns = _dims(inputs["lora_config"])[-1]
    return columns if columns in LORA_COLUMNS else None


def mismatches(config: Config) -> tuple[str, ...]:
    """Every place where `config` leaves the engine contract, one sentence each; () when none."""
    return (
        *_open_variables(config, ""),
        *_policy(config),
        *_inputs(_by_name(config, "input")),
        *_outputs(_by_name(config, "output")),
    )


def _policy(config: Config) -> Iterator[str]:
    if not config.get("model_transaction_policy", {}).get("decoupled", False):
        yield "the model is not decoupled, so it cannot stream; set decoupled_mode to true"
    size = int(config.get("max_batch_size", 0))
    if size < 1:
        yield f"max_batch_size is {size}, so its tensors have no batch dimension; set 1 or more"


def _inputs(inputs: Mapping[str, Config]) -> Iterator[str]:
    for tensor in ENGINE_INPUTS:
        found = inputs.get(tensor.name)
        if found is None:
            yield f"input '{tensor.name}' is missing; add it as {_words(tensor)}"
        else:
            yield from _differences("input", tensor, found)
            if tensor.is_optional and not found.get("optional", False):
                yield f"input '{tensor.name}' is required; set optional: true"
    for name in sorted(inputs.keys() - {tensor.name for tensor in ENGINE_INPUTS}):
        yield from _extra(name, inputs[name])


def _extra(name: str, found: Config) -> Iterator[str]:
    if name not in UPSTREAM_EXTRA_INPUTS and not name.startswith(_EXTRA_PREFIX):
        yield f"input '{name}' is none of TensorRT-LLM 1.2.1's; take it out"
    elif not found.get("optional", False):
        yield f"input '{name}' is required, but Conch never sends it; set optional: true"


def _outputs(outputs: Mapping[str, Config]) -> Iterator[str]:
    """More outputs than those of the contract do no harm: nobody asks for them."""
    for tensor in ENGINE_OUTPUTS:
        if tensor.name in outputs:
            yield from _differences("output", tensor, outputs[tensor.name])
        else:
            yield f"output '{tensor.name}' is missing; add it as {_words(tensor)}"


def _differences(kind: str, tensor: Tensor, found: Config) -> Iterator[str]:
    name, dtype, dims = tensor.name, found.get("data_type", ""), _dims(found)
    if dtype != f"TYPE_{tensor.dtype}":
        yield f"{kind} '{name}' has data_type {dtype}; set TYPE_{tensor.dtype}"
    if dims not in _allowed_dims(tensor):
        wanted = " or ".join(str(list(allowed)) for allowed in _allowed_dims(tensor))
        yield f"{kind} '{name}' has dims {list(dims)}; set {wanted}"
    if _is_reshaped(found) != tensor.is_scalar:
        remedy = "add reshape { shape: [ ] }" if tensor.is_scalar else "take its reshape out"
        yield f"{kind} '{name}' reaches the model in another shape; {remedy}"


def _allowed_dims(tensor: Tensor) -> tuple[tuple[int, ...], ...]:
    if tensor.name == "lora_config":
        return tuple((-1, columns) for columns in LORA_COLUMNS)
    return (tensor.dims,)


def _words(tensor: Tensor) -> str:
    reshape = ", reshape { shape: [ ] }" if tensor.is_scalar else ""
    optional = ", optional: true" if tensor in ENGINE_INPUTS and tensor.is_optional else ""
    return f"TYPE_{tensor.dtype}, dims {list(tensor.dims)}{reshape}{optional}"


def _is_reshaped(found: Config) -> bool:
    """True for `reshape { shape: [ ] }`, the one reshape that the contract has."""
    return "reshape" in found and not found["reshape"].get("shape")


def _open_variables(value: object, path: str) -> Iterator[str]:
    """Texts with a template variable that nobody filled."""
    match value:
        case str() if "${" in value:
            yield f"{path} is '{value}': a template variable left open; give it a value"
        case Mapping():
            for key, below in value.items():
                yield from _open_variables(below, f"{path}.{key}" if path else str(key))
        case list() | tuple():
            for index, below in enumerate(value):
                yield from _open_variables(below, f"{path}[{index}]")


def _by_name(config: Config, kind: str) -> dict[str, Config]:
    return {str(tensor["name"]): tensor for tensor in config.get(kind, ())}


def _dims(found: Config) -> tuple[int, ...]:
    # Protocol Buffers' own JSON has 64-bit numbers as strings, Triton's as numbers.
    return tuple(int(dim) for dim in found.get("dims", ()))
