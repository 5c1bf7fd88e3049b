"""Calls and chunks survive their way through tensors; what is not honoured is refused by name."""

from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import wire
from serving.contract.calls import (
    Call,
    Chunk,
    EngineTimes,
    FinishReason,
    Guide,
    Sampling,
    Timings,
    TokenLogprob,
    Usage,
)
from serving.contract.errors import InvalidRequest, UnsupportedParameter
from serving.contract.guardrails import Action, Stage, Verdict
from serving.contract.response_format import guide_of
from serving.contract.tensors import BLS_INPUTS, BLS_OUTPUTS, TIMING_OUTPUTS
from serving.contract.tools import NamedTool, ToolCallDelta, ToolChoice
from serving.contract.wire import decode_call, decode_chunk, encode_call, encode_chunk

INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
FLOAT32 = st.floats(width=32, allow_nan=False)
FLOAT64 = st.floats(allow_nan=False, allow_infinity=False)
LOGPROB = st.floats(-1e4, 0.0)
TEXT = st.text(max_size=20)
WORDS = st.lists(st.text(min_size=1, max_size=8), max_size=3).map(tuple)
JSON = st.recursive(
    st.none() | st.booleans() | INT32 | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=2)
MESSAGES = st.lists(st.dictionaries(TEXT, JSON, max_size=2), max_size=3).map(tuple)


def optional(strategy):
    return st.none() | strategy


SAMPLINGS = st.builds(
    Sampling,
    max_tokens=optional(INT32),
    min_tokens=optional(INT32),
    temperature=optional(FLOAT32),
    top_k=optional(INT32),
    top_p=optional(FLOAT32),
    repetition_penalty=optional(FLOAT32),
    presence_penalty=optional(FLOAT32),
    frequency_penalty=optional(FLOAT32),
    seed=optional(st.integers(0, 2**64 - 1)),
    stop=WORDS,
    bad_words=WORDS,
    end_id=optional(INT32),
)
PROMPTS = st.one_of(
    st.fixed_dictionaries({"text": TEXT}),
    st.fixed_dictionaries({"input_ids": st.lists(INT32, max_size=4).map(tuple)}),
    st.fixed_dictionaries({"messages": MESSAGES}),
)
TOOLS = st.lists(
    st.builds(
        lambda name, rest: {"type": "function", "function": {**rest, "name": name}},
        st.text(min_size=1, max_size=8),
        st.fixed_dictionaries({}, optional={"description": TEXT, "parameters": OBJECT}),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool["function"]["name"],
).map(tuple)
CALLS = st.builds(
    lambda prompt, **others: Call(**prompt, **others),
    PROMPTS,
    sampling=SAMPLINGS,
    guide=optional(st.builds(Guide, TEXT, TEXT)),
    tools=optional(TOOLS),
    tool_choice=optional(st.sampled_from(ToolChoice) | st.builds(NamedTool, TEXT)),
    n=INT32,
    deadline_ms=optional(st.integers(1, 2**31 - 1)),
    is_streamed=st.booleans(),
    is_echoed=st.booleans(),
    has_logprobs=st.booleans(),
    has_engine_times=st.booleans(),
    has_token_counts=st.booleans(),
    grant=optional(TEXT),
)
CHUNKS = st.builds(
    Chunk,
    index=st.integers(0, 63),
    text=TEXT,
    logprobs=st.lists(
        st.builds(TokenLogprob, st.integers(0, 2**31 - 1), st.binary(max_size=4), LOGPROB),
        max_size=3,
    ).map(tuple),
    finish_reason=optional(st.sampled_from(FinishReason)),
    usage=optional(st.builds(Usage, INT32, INT32, optional(INT32))),
    timings=optional(st.builds(Timings, FLOAT64, FLOAT64, FLOAT64)),
    reasoning=TEXT,
    tool_calls=st.lists(
        st.builds(ToolCallDelta, st.integers(0, 9), optional(TEXT), optional(TEXT), TEXT),
        max_size=3,
    ).map(tuple),
)


@given(CALLS)
def test_a_call_survives_its_tensors(call):
    assert decode_call(encode_call(call)) == call


@given(CHUNKS)
def test_a_chunk_survives_its_tensors(chunk):
    assert decode_chunk(encode_chunk(chunk, Call(n=2))) == chunk


@given(INT64, LOGPROB.map(np.float32).map(float))
def test_statistics_of_an_answer_survive_its_tensors(time_ns, logprob):
    times = EngineTimes(time_ns, 0, 1, time_ns)
    last = Chunk(finish_reason=FinishReason.STOP, engine_times=times, cum_logprob=logprob)
    assert decode_chunk(encode_chunk(last, Call(has_engine_times=True))) == last


def assert_declared(arrays, tensors):
    table = {tensor.name: tensor for tensor in tensors}
    for name, array in arrays.items():
        tensor = table[name]
        assert array.shape[0] == 1
        assert len(array.shape) == len(tensor.dims) + 1
        assert all(
            dim in (-1, size) for dim, size in zip(tensor.dims, array.shape[1:], strict=True)
        )
        assert array.dtype == wire._NUMPY_TYPES[tensor.dtype]


@given(CALLS)
def test_every_tensor_of_a_call_is_declared_with_its_type_and_dims(call):
    assert_declared(encode_call(call), BLS_INPUTS)


@given(CHUNKS, CALLS, INT64, LOGPROB)
def test_every_tensor_of_a_chunk_is_declared_with_its_type_and_dims(chunk, call, time_ns, logprob):
    times = EngineTimes(time_ns, time_ns, time_ns, time_ns)
    last = replace(chunk, engine_times=times, cum_logprob=logprob)
    assert_declared(encode_chunk(last, call), BLS_OUTPUTS)


def test_every_declared_output_is_sent_to_whom_asks_for_all():
    token = TokenLogprob(1, b"a", -0.5)
    last = Chunk(
        0,
        "a",
        (token,),
        FinishReason.STOP,
        Usage(3, 1),
        Timings(1.0, 2.0, 3.0),
        engine_times=EngineTimes(1, 2, 3, 4),
        cum_logprob=-0.5,
        reasoning="hm",
        tool_calls=(ToolCallDelta(0, "call_1", "get", "{}"),),
        verdicts=(Verdict("words", Stage.OUTPUT, Action.FLAG),),
    )
    arrays = encode_chunk(last, Call(n=2, has_engine_times=True, has_token_counts=True))
    assert arrays.keys() == {tensor.name for tensor in BLS_OUTPUTS} - {"control", "state"}
    assert [arrays[t.name].item() for t in TIMING_OUTPUTS] == [1, 2, 3, 4]
    assert (arrays["num_input_tokens"].item(), arrays["num_output_tokens"].item()) == (3, 1)


FUNCTION = {"type": "function", "function": {"name": "get"}}


def text(value):
    return wire.single("STRING", value)


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("auto", ToolChoice.AUTO),
        ('"none"', ToolChoice.NONE),
        ("required", ToolChoice.REQUIRED),
        ('{"type":"function","function":{"name":"get"}}', NamedTool("get")),
    ],
)
def test_a_choice_is_a_word_or_the_name_of_a_tool(value, choice):
    assert decode_call({"tool_choice": text(value)}).tool_choice == choice


def test_no_tools_are_none():
    assert decode_call({"tools": text("[]")}).tools is None


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("tools", "get"),
        ("tools", orjson.dumps(FUNCTION)),
        ("tools", '["get"]'),
        ("tools", '[{"type":"custom","custom":{"name":"get"}}]'),
        ("tools", '[{"type":"function","function":{"name":""}}]'),
        ("tools", '[{"type":"function","function":{"name":"get","parameters":[]}}]'),
        ("tools", orjson.dumps([FUNCTION, FUNCTION])),
        ("tool_choice", "get"),
        ("tool_choice", '{"type":"function"}'),
        ("tool_choice", "7"),
    ],
)
def test_tools_that_are_none_are_refused_by_the_name_of_the_input(param, value):
    with pytest.raises(InvalidRequest) as refused:
        decode_call({param: text(value)})
    assert refused.value.param == param


def test_a_plain_chunk_is_one_string_only():
    assert list(encode_chunk(Chunk(text="a"), Call())) == ["text_output"]


def test_upstreams_token_counts_come_with_the_last_chunk_only():
    so_far = Chunk(text="a", usage=Usage(3, 1))
    assert list(encode_chunk(so_far, Call(has_token_counts=True))) == ["text_output", "usage"]


def test_a_grant_is_not_shown():
    assert "secret" not in repr(Call(text="a", grant="secret"))


def test_what_a_call_leaves_open_is_not_sent():
    assert list(encode_call(Call(text="a"))) == ["text_input"]


def test_words_that_are_empty_say_nothing():
    assert decode_call({"stop_words": wire.strings(["", "a", ""])}).sampling.stop == ("a",)


NOT_HONOURED = {
    "embedding_bias_words": wire.strings(["a"]),
    "embedding_bias_weights": np.ones((1, 1), np.float32),
    "lora_task_id": np.ones((1, 1), np.uint64),
    "lora_weights": np.ones((1, 1, 1), np.float16),
    "lora_config": np.ones((1, 1, 3), np.int32),
    "length_penalty": np.full((1, 1), 0.5, np.float32),
    "beam_width": np.full((1, 1), 2, np.int32),
    "return_context_logits": np.full((1, 1), fill_value=True),
    "return_generation_logits": np.full((1, 1), fill_value=True),
}


@pytest.mark.parametrize("name", sorted(NOT_HONOURED))
def test_what_no_engine_here_can_do_is_refused_by_name(name):
    with pytest.raises(UnsupportedParameter, match=name) as refused:
        decode_call({"text_input": wire.single("STRING", "a"), name: NOT_HONOURED[name]})
    assert refused.value.param == name


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("length_penalty", np.ones((1, 1), np.float32)),
        ("beam_width", np.ones((1, 1), np.int32)),
        ("return_context_logits", np.zeros((1, 1), np.bool_)),
        ("return_generation_logits", np.zeros((1, 1), np.bool_)),
    ],
)
def test_asking_for_nothing_special_is_no_refusal(name, array):
    assert decode_call({"text_input": wire.single("STRING", "a"), name: array}).text == "a"


def test_every_input_is_honoured_or_refused_by_name():
    """A new row of the table must be read by `decode_call`, or stand in its list of refusals."""
    read = set()

    class Watched(dict):
        def get(self, name, default=None):
            read.add(name)
            return default

        def __contains__(self, name):
            read.add(name)
            return False

    decode_call(Watched())
    # nothing is padded; there is no guide without its type; an operation is no call
    say_nothing = {"pad_id", "guided_decoding_guide", "control"}
    assert {tensor.name for tensor in BLS_INPUTS} - read - say_nothing == set()


@pytest.mark.parametrize("name", ["text_input", "stop_words", "messages", "response_format"])
def test_text_that_is_no_utf8_is_refused_by_name(name):
    with pytest.raises(InvalidRequest, match="UTF-8") as refused:
        decode_call({name: np.array([[b"\xff"]], dtype=np.object_)})
    assert refused.value.param == name


@pytest.mark.parametrize("name", ["max_tokens", "temperature", "seed", "stream", "text_input"])
def test_two_values_for_one_are_refused_by_name(name):
    with pytest.raises(InvalidRequest, match=name) as refused:
        decode_call({name: np.zeros((1, 2), np.int32)})
    assert refused.value.param == name


@pytest.mark.parametrize("text", ["{", "1", '"a"', "{}", "[1]", '[{"role": "user"}, null]'])
def test_messages_that_are_no_list_of_objects_are_refused(text):
    with pytest.raises(InvalidRequest) as refused:
        decode_call({"messages": wire.single("STRING", text)})
    assert refused.value.param == "messages"


def test_messages_nested_absurdly_deep_are_refused():
    with pytest.raises(InvalidRequest):
        decode_call({"messages": wire.single("STRING", "[" * 100_000)})


@pytest.mark.parametrize(
    ("response_format", "guide"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, Guide("json")),
        (
            {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
            Guide("json_schema", '{"type":"object"}'),
        ),
    ],
)
def test_response_format_becomes_a_guide(response_format, guide):
    assert guide_of(response_format) == guide
    arrays = {"response_format": wire.single("STRING", orjson.dumps(response_format))}
    assert decode_call(arrays).guide == guide


@pytest.mark.parametrize(
    "response_format",
    [
        "text",
        {},
        {"type": "yaml"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "x"}},
        {"type": "json_schema", "json_schema": {"schema": "x"}},
        [],
        7,
    ],
)
def test_a_response_format_nobody_knows_is_refused(response_format):
    with pytest.raises(InvalidRequest) as refused:
        guide_of(response_format)
    assert refused.value.param == "response_format"


def test_a_guide_by_its_own_tensors_goes_before_response_format():
    arrays = {
        "guided_decoding_guide_type": wire.single("STRING", "regex"),
        "guided_decoding_guide": wire.single("STRING", "a+"),
        "response_format": wire.single("STRING", '{"type":"json_object"}'),
    }
    assert decode_call(arrays).guide == Guide("regex", "a+")
