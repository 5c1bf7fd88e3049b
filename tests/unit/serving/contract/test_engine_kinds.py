"""An engine is recognised by its config, and each place where it cannot be used is named."""

from copy import deepcopy

import pytest

from serving.contract.engine_kinds import EngineKind, lora_columns, mismatches, recognise
from serving.contract.tensors import ENGINE_INPUTS, ENGINE_OUTPUTS


def as_json(tensor, *, is_input):
    spec = {"name": tensor.name, "data_type": f"TYPE_{tensor.dtype}", "dims": list(tensor.dims)}
    spec |= {"reshape": {"shape": []}} if tensor.is_scalar else {}
    return spec | ({"optional": tensor.is_optional} if is_input else {})


def config(kind="openvino"):
    """The config of an engine model of ours, as Triton tells it."""
    return {
        "name": "demo_engine",
        "backend": "python",
        "max_batch_size": 64,
        "input": [as_json(tensor, is_input=True) for tensor in ENGINE_INPUTS],
        "output": [as_json(tensor, is_input=False) for tensor in ENGINE_OUTPUTS],
        "model_transaction_policy": {"decoupled": True},
        "parameters": {"engine_kind": {"string_value": kind}} if kind else {},
    }


def changed(kind, name, **values):
    """An engine's config with one tensor that is different; None takes a value out."""
    changed_config = deepcopy(config())
    (tensor,) = (t for t in changed_config[kind] if t["name"] == name)
    for key, value in values.items():
        tensor.pop(key, None)
        tensor |= {} if value is None else {key: value}
    return changed_config


def without(kind, name):
    return config() | {kind: [t for t in config()[kind] if t["name"] != name]}


def with_input(**spec):
    return config() | {"input": [*config()["input"], {"data_type": "TYPE_INT32", **spec}]}


def reason_not_to_use(engine_config):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its words are looked at
        recognise(engine_config)
    return str(refused.value)


@pytest.mark.parametrize("kind", ["openvino", "trtllm-llmapi"])
def test_a_python_model_says_itself_which_engine_it_is(kind):
    assert recognise(config(kind)) == EngineKind(kind)


def test_the_cpp_backend_is_the_frozen_engine():
    assert recognise(config(None) | {"backend": "tensorrtllm"}) is EngineKind.TRTLLM


@pytest.mark.parametrize("kind", [None, "vllm", "trtllm"])
def test_a_python_model_of_another_maker_is_no_engine(kind):
    reason = reason_not_to_use(config(kind))
    assert "'demo_engine'" in reason
    assert "engine_kind" in reason
    assert kind is None or f"'{kind}'" in reason


def test_nvidias_llmapi_template_is_recognised_and_refused():
    template = config(None) | {"input": [{"name": "text_input"}, {"name": "sampling_param_seed"}]}
    reason = reason_not_to_use(template)
    assert "text_input instead of input_ids" in reason
    assert "trtllm-llmapi" in reason


def test_a_model_of_another_backend_is_no_engine():
    assert "'onnxruntime'" in reason_not_to_use(config() | {"backend": "onnxruntime"})


def test_our_own_config_keeps_the_contract():
    assert mismatches(config()) == ()


MISMATCHES = {
    "input 'seed' is missing; add it as TYPE_UINT64, dims [1], reshape { shape: [ ] }, "
    "optional: true": without("input", "seed"),
    "output 'output_ids' is missing; add it as TYPE_INT32, dims [-1, -1]": without(
        "output", "output_ids"
    ),
    "input 'temperature' has data_type TYPE_FP16; set TYPE_FP32": changed(
        "input", "temperature", data_type="TYPE_FP16"
    ),
    "output 'cum_log_probs' has data_type TYPE_FP16; set TYPE_FP32": changed(
        "output", "cum_log_probs", data_type="TYPE_FP16"
    ),
    "input 'stop_words_list' has dims [-1]; set [2, -1]": changed(
        "input", "stop_words_list", dims=[-1]
    ),
    "input 'lora_config' has dims [-1, 5]; set [-1, 3] or [-1, 4]": changed(
        "input", "lora_config", dims=[-1, 5]
    ),
    "input 'end_id' reaches the model in another shape; add reshape { shape: [ ] }": changed(
        "input", "end_id", reshape=None
    ),
    "input 'lora_weights' reaches the model in another shape; take its reshape out": changed(
        "input", "lora_weights", reshape={"shape": []}
    ),
    "input 'streaming' is required; set optional: true": changed(
        "input", "streaming", optional=False
    ),
    "input 'prompt_vocab_size' is required, but Conch never sends it; set optional: true": (
        with_input(name="prompt_vocab_size")
    ),
    "input 'top_secret' is none of TensorRT-LLM 1.2.1's; take it out": with_input(
        name="top_secret", optional=True
    ),
    "the model is not decoupled, so it cannot stream; set decoupled_mode to true": config()
    | {"model_transaction_policy": {"decoupled": False}},
    "max_batch_size is 0, so its tensors have no batch dimension; set 1 or more": config()
    | {"max_batch_size": 0},
    "parameters.tokenizer_dir.string_value is '${tokenizer_dir}': a template variable left open; "
    "give it a value": config()
    | {"parameters": {"tokenizer_dir": {"string_value": "${tokenizer_dir}"}}},
    "instance_group[0].gpus is '${gpus}': a template variable left open; give it a value": config()
    | {"instance_group": [{"gpus": "${gpus}"}]},
}


@pytest.mark.parametrize("sentence", MISMATCHES)
def test_a_mismatch_is_one_sentence_with_what_to_do(sentence):
    assert mismatches(MISMATCHES[sentence]) == (sentence,)


def test_a_dora_column_and_upstreams_other_inputs_do_no_harm():
    assert mismatches(changed("input", "lora_config", dims=[-1, 4])) == ()
    for name in ("retention_token_range_starts", "multimodal_hashes", "no_repeat_ngram_size"):
        assert mismatches(with_input(name=name, dims=[-1], optional=True)) == ()


def test_an_input_that_must_be_given_anyway_may_be_optional():
    assert mismatches(changed("input", "input_lengths", optional=True)) == ()


def test_more_outputs_than_asked_for_do_no_harm():
    more = {"name": "context_logits", "data_type": "TYPE_FP32", "dims": [-1, -1]}
    assert mismatches(config() | {"output": [*config()["output"], more]}) == ()


def test_numbers_may_be_strings_as_in_protobufs_own_json():
    assert mismatches(changed("input", "lora_weights", dims=["-1", "-1"])) == ()


@pytest.mark.parametrize("columns", [3, 4])
def test_the_columns_of_lora_are_those_of_the_config(columns):
    assert lora_columns(changed("input", "lora_config", dims=[-1, columns])) == columns


@pytest.mark.parametrize("name", ["lora_task_id", "lora_weights", "lora_config"])
def test_an_engine_without_every_lora_input_takes_none(name):
    assert lora_columns(without("input", name)) is None


def test_an_engine_with_room_for_no_adapter_takes_none():
    room = {"parameters": {"lora_max_adapters": {"string_value": "0"}}}
    assert lora_columns(config() | room) is None
