"""The engine contract on TensorRT-LLM's LLM API, with stand-ins for the library and for Triton."""

import re
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from llmapi_engine import arrays, loaded
from tensorrt_llm_stand_in import RequestError
from triton_stand_in import Asked, TritonModelException
from waiting import until

from serving.bls.engine_tensors import stop_request, word_list


@pytest.fixture(scope="module")
def one_engine(tmp_path_factory):
    with loaded(tmp_path_factory.mktemp("models")) as engine:
        yield engine


@pytest.fixture
def engine(one_engine):
    one_engine.llm.reset()
    return one_engine


def test_a_stream_has_the_new_tokens_only(engine):
    asked = engine.ask(streaming=True)
    assert asked.tokens == [[11], [12], [13]]
    assert [outputs["sequence_length"].item() for outputs in asked.outputs] == [1, 1, 1]


def test_tokens_that_are_ready_together_travel_together(engine):
    engine.llm.is_ahead = True
    asked = engine.ask(streaming=True, request_output_len=40)
    assert asked.tokens == [[token % 50 for token in range(11, 51)]]


def test_an_answer_that_is_not_streamed_is_one_response(engine):
    assert engine.ask().tokens == [[11, 12, 13]]
    assert len(engine.ask().outputs) == 1


def test_the_input_goes_before_the_answer_when_asked_for(engine):
    assert engine.ask(exclude_input_in_output=False).tokens == [[5, 6, 11, 12, 13]]


def test_sequences_are_told_apart_and_have_seeds_of_their_own(engine):
    asked = engine.ask(num_return_sequences=3, runtime_top_k=5, seed=7)
    assert sorted(o["sequence_index"].item() for o in asked.outputs) == [0, 1, 2]
    assert sorted(params.seed for _, params, _ in engine.llm.calls) == [7, 8, 9]


def test_rows_of_a_batch_are_told_apart(engine):
    both = {
        "input_ids": np.array([[5, 6], [7, 0]], np.int32),
        "input_lengths": np.array([2, 1], np.int32),
        "request_output_len": np.array([2, 1], np.int32),
    }
    outputs = engine.ask(**both).outputs
    found = {o["batch_index"].item(): o["output_ids"].ravel().tolist() for o in outputs}
    assert found == {0: [11, 12], 1: [7]}


def test_log_probabilities_are_those_of_the_tokens(engine):
    outputs = engine.ask(return_log_probs=True, streaming=True).outputs
    logprobs = [o["output_log_probs"].item() for o in outputs]
    assert logprobs == pytest.approx([-0.11, -0.12, -0.13])
    assert outputs[-1]["cum_log_probs"].item() == pytest.approx(-0.36)


def test_tokens_are_counted(engine):
    wanted = {"return_num_input_tokens": True, "return_num_output_tokens": True}
    (outputs,) = engine.ask(**wanted).outputs
    assert (outputs["num_input_tokens"].item(), outputs["num_output_tokens"].item()) == (2, 3)


def times(outputs):
    names = ("arrival", "first_scheduled", "first_token", "last_token")
    return [outputs[f"{name}_time_ns"].item() for name in names]


def test_times_rise_and_come_with_the_last_tokens(engine):
    *before, last = engine.ask(return_perf_metrics=True, streaming=True).outputs
    assert all("arrival_time_ns" not in outputs for outputs in before)
    assert times(last) == sorted(times(last))


@pytest.mark.parametrize("scheduled_s", [0.0, 1e12])
def test_a_time_that_cannot_be_is_not_told(engine, scheduled_s):
    metrics = SimpleNamespace(first_scheduled_time=timedelta(seconds=min(scheduled_s, 1e9)))
    engine.llm.metrics = SimpleNamespace(timing_metrics=metrics)
    (outputs,) = engine.ask(return_perf_metrics=True).outputs
    assert times(outputs) == sorted(times(outputs))


def test_a_stop_sequence_of_several_tokens_ends_the_request(engine):
    asked = engine.ask(stop_words_list=word_list([[12, 13]]), request_output_len=50, streaming=True)
    assert asked.tokens == [[11], [12], [13]]
    # The last response goes out before the library is told.
    until(lambda: engine.llm.results[0].is_aborted, within_s=5.0)


@pytest.mark.parametrize("words", [{"end_id": 12}, {"stop_words_list": word_list([[12]])}])
def test_a_single_token_that_ends_the_answer_is_the_librarys(engine, words):
    assert engine.ask(request_output_len=50, **words).tokens == [[11, 12]]
    assert not engine.llm.results[0].is_aborted


def test_stop_with_the_same_id_cancels_and_ends_both(engine):
    engine.llm.held = True
    asked = engine.ask("same", streaming=True, num_return_sequences=2, runtime_top_k=2)
    stop = Asked(arrays(stop=True), "same")
    engine.model.execute([stop])
    assert stop.outputs == [{}]
    assert asked.tokens == []
    assert all(result.is_aborted for result in engine.llm.results)


def test_what_the_bls_model_sends_to_stop_is_understood(engine):
    engine.llm.held = True
    asked = engine.ask("id", request_output_len=50)
    engine.model.execute([Asked({k: v[0] for k, v in stop_request().items()}, "id")])
    assert asked.tokens == []


def test_to_stop_what_nobody_knows_is_answered(engine):
    assert engine.ask("unknown", stop=True).outputs == [{}]


def test_to_stop_without_an_id_is_refused(engine):
    assert "request ID is not provided" in engine.ask(stop=True).error


def test_a_client_that_left_is_noticed(engine):
    engine.llm.held = True
    asked = engine.ask(streaming=True)
    asked.is_client_gone = True
    assert asked.tokens == []
    assert all(result.is_aborted for result in engine.llm.results)


def test_a_request_that_fails_does_not_tell_the_librarys_words(engine):
    engine.llm.failure = RequestError("CUDA error in /secret/path")
    error = engine.ask().error
    assert error.startswith("engine_failed: ")
    assert "secret" not in error
    assert any("CUDA error in /secret/path" in line for line in engine.log)


def test_one_sequence_that_fails_ends_the_request_once(engine):
    engine.llm.failure = RequestError("no")
    assert "engine_failed" in engine.ask(num_return_sequences=3, runtime_top_k=2).error


def test_one_bad_request_leaves_the_others_alone(engine):
    bad, good = Asked(arrays(temperature=-1.0)), Asked(arrays())
    engine.model.execute([bad, good])
    assert "temperature" in bad.error
    assert good.tokens == [[11, 12, 13]]


@pytest.mark.parametrize("kind", ["json_schema", "regex", "ebnf_grammar"])
def test_a_guide_that_does_not_compile_is_refused_with_the_compilers_words(engine, kind):
    guide = {"guided_decoding_guide_type": kind.encode(), "guided_decoding_guide": b"broken"}
    error = engine.ask(**guide).error
    assert error.startswith("invalid_request[guided_decoding_guide]: ")
    assert "it is broken" in error
    assert "/project" not in error
    assert engine.llm.calls == []


def test_a_guide_of_unreasonable_length_is_refused(engine):
    guide = {"guided_decoding_guide_type": b"regex", "guided_decoding_guide": b"a" * 70_000}
    assert "70000 characters" in engine.ask(**guide).error


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("json", "json_object", True),
        ("json_schema", "json", "text"),
        ("regex", "regex", "text"),
        ("ebnf_grammar", "grammar", "text"),
    ],
)
def test_a_guide_reaches_the_library_as_its_own_kind(engine, kind, field, value):
    guide = {"guided_decoding_guide_type": kind.encode(), "guided_decoding_guide": b"text"}
    assert engine.ask(**guide).tokens == [[11, 12, 13]]
    ((_, params, _),) = engine.llm.calls
    assert getattr(params.guided_decoding, field) == value


def test_the_library_gets_what_the_config_says(tmp_path):
    parameters = {
        "tensor_parallel_size": 2,
        "max_num_sequences": 8,
        "max_num_tokens": 256,
        "max_seq_len": 64,
        "max_tokens_in_paged_kv_cache": 4096,
        "kv_cache_free_gpu_mem_fraction": "0.5",
        "lora_max_adapters": 3,
        "lora_max_rank": 16,
        "lora_target_modules": "attn_q, attn_v",
    }
    with loaded(tmp_path, **parameters) as engine:
        given = engine.llm.arguments
    assert given["model"] == str(tmp_path / "1" / "model")
    limits = ("tensor_parallel_size", "max_batch_size", "max_num_tokens", "max_seq_len")
    assert [given[name] for name in limits] == [2, 8, 256, 64]
    assert given["kv_cache_config"].free_gpu_memory_fraction == 0.5
    assert given["kv_cache_config"].max_tokens == 4096
    assert given["lora_config"].lora_target_modules == ["attn_q", "attn_v"]
    assert (given["lora_config"].max_lora_rank, given["lora_config"].max_cpu_loras) == (16, 3)


def test_the_sampler_is_the_one_that_knows_penalties_and_bad_words(engine):
    assert engine.llm.arguments["sampler_type"] == "TRTLLMSampler"


def test_an_engine_without_room_for_adapters_has_no_lora(tmp_path):
    with loaded(tmp_path, lora_max_adapters=0) as engine:
        assert engine.llm.arguments["lora_config"] is None
        assert "lora_max_adapters" in engine.ask(lora_task_id=1).error


@pytest.mark.parametrize(
    ("reason", "given"),
    [
        ("written for TensorRT-LLM 1.2.x, the container has 1.3.0", {"version": "1.3.0"}),
        ("is not the config of a Hugging Face checkpoint", {"checkpoint": None}),
        ("vocab_size", {"checkpoint": {"max_position_embeddings": 10}}),
        ("'max_seq_len' of 'demo_engine' is 'long'", {"max_seq_len": "long"}),
        ("not between 0 and 1", {"kv_cache_free_gpu_mem_fraction": "2"}),
        ("has 'attn_x'; it takes attn_qkv, attn_q", {"lora_target_modules": "attn_q,attn_x"}),
    ],
)
def test_what_does_not_load_says_why(tmp_path, reason, given):
    with (
        pytest.raises(TritonModelException, match=re.escape(reason)),
        loaded(tmp_path, **given),
    ):
        pass


def test_unloading_ends_what_is_open_and_the_library(tmp_path):
    with loaded(tmp_path) as engine:
        engine.llm.held = True
        asked = engine.ask("open")
    assert "being unloaded" in asked.error
    assert engine.llm.is_shut_down
