"""Tensors of a ModelInferRequest become a call; what is wrong with one is said by its name."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from gateway.kserve.ask import ask_of
from gateway.kserve.inputs import MAX_STRINGS, NOT_FOR_CLIENTS
from gateway.settings import GatewaySettings
from serving.adapters.triton import infer_request
from serving.contract.calls import Call, Guide, Sampling
from serving.contract.errors import Forbidden, InvalidRequest, UnsupportedParameter
from serving.contract.tools import ToolChoice
from serving.contract.wire import encode_call, single, strings

SETTINGS = GatewaySettings(governed=False, api_key="sk-unit")
CALLS = st.builds(
    Call,
    text=st.text(max_size=9),
    sampling=st.builds(
        Sampling,
        max_tokens=st.none() | st.integers(1, 2**31 - 1),
        temperature=st.none() | st.floats(0, 2, width=32),
        seed=st.none() | st.integers(0, 2**64 - 1),
        stop=st.lists(st.text(min_size=1, max_size=3), max_size=3).map(tuple),
    ),
    guide=st.none() | st.just(Guide("json_schema", "{}")),
    adapter=st.none() | st.text(max_size=9),
    n=st.integers(1, SETTINGS.max_choices),
    is_streamed=st.booleans(),
    has_logprobs=st.booleans(),
    has_engine_times=st.booleans(),
)
FIELDS = {
    "BYTES": "bytes_contents",
    "INT32": "int_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "BOOL": "bool_contents",
}


def asked(request: Any, *, is_unary: bool = False, settings: GatewaySettings = SETTINGS) -> Call:
    (call,) = ask_of(request, settings, is_unary=is_unary).calls
    return call


def plain(**more: Any) -> Any:
    return infer_request("m", {"text_input": strings(["hello"]), **more}, "id-1")


def typed(call: Call) -> Any:
    """The call with its values in the typed fields, as clients of other languages send it."""
    request = service_pb2.ModelInferRequest(model_name="m")
    for name, array in encode_call(call).items():
        datatype = np_to_triton_dtype(array.dtype)
        tensor = request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        getattr(tensor.contents, FIELDS[datatype]).extend(array.flatten().tolist())
    return request


@given(CALLS)
def test_a_call_comes_through_as_raw_bytes_and_as_typed_values(call: Call) -> None:
    assert asked(infer_request("m", encode_call(call), "")) == call
    assert asked(typed(call)) == call


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4).map(tuple))
def test_token_ids_come_through(ids: tuple[int, ...]) -> None:
    call = Call(input_ids=ids)
    assert asked(infer_request("m", encode_call(call), "")) == asked(typed(call)) == call


def test_prompt_bytes_are_those_of_the_prompt_alone() -> None:
    sizes = {
        "text_input": strings(["héllo"]),
        "input_ids": np.array([[1, 2, 3]], np.int32),
        "messages": strings(['[{"role":"user","content":"a"}]']),
    }
    for (name, array), expected in zip(sizes.items(), (6, 12, 31), strict=True):
        request = infer_request("m", {name: array, "stop_words": strings(["xyz"])}, "")
        assert ask_of(request, SETTINGS, is_unary=False).prompt_bytes == expected


def test_tools_are_inputs() -> None:
    tool = {"type": "function", "function": {"name": "get"}}
    given = {"tools": strings([orjson.dumps([tool]).decode()]), "tool_choice": strings(["auto"])}
    call = asked(plain(**given))
    assert (call.tools, call.tool_choice) == ((tool,), ToolChoice.AUTO)


@pytest.mark.parametrize("adapter", ["pirate", ""])
def test_the_adapter_is_an_input(adapter: str) -> None:
    ask = ask_of(plain(adapter=strings([adapter])), SETTINGS, is_unary=False)
    assert (ask.model, ask.adapter) == ("m", adapter)
    assert ask_of(plain(), SETTINGS, is_unary=False).adapter is None


def test_what_is_for_operators_cannot_be_asked_for_either() -> None:
    with pytest.raises(InvalidRequest, match="no output 'control'"):
        asked(with_output("control"))


def test_user_and_session_are_parameters_of_the_request() -> None:
    request = plain()
    request.parameters["user"].string_param = "ada"
    request.parameters["session"].string_param = "s-1"
    ask = ask_of(request, SETTINGS, is_unary=False)
    assert (ask.user, ask.session) == ("ada", "s-1")


@pytest.mark.parametrize("name", sorted(NOT_FOR_CLIENTS))
def test_what_only_the_gateway_may_give_is_refused(name: str) -> None:
    for array in (strings(["{}"]), np.ones((1, 1, 3), np.int32)):
        with pytest.raises(Forbidden, match=name) as refused:
            asked(plain(**{name: array}))
        assert refused.value.param == name


def test_a_name_that_only_looks_like_a_grant_is_no_input() -> None:
    for name in ("Grant", "grant ", "control\0"):
        with pytest.raises(InvalidRequest, match="no input"):
            asked(plain(**{name: strings(["{}"])}))


def changed(position: int, **fields: Any) -> Any:
    """A good request whose tensor at `position` (0: text_input, 1: max_tokens) is not."""
    request = plain(max_tokens=single("INT32", 3))
    if "raw" in fields:
        request.raw_input_contents[position] = fields.pop("raw")
    if "shape" in fields:
        request.inputs[position].shape[:] = fields.pop("shape")
    if "datatype" in fields:
        request.inputs[position].datatype = fields.pop("datatype")
    if "shared" in fields:
        where = fields.pop("shared")
        request.inputs[position].parameters["shared_memory_region"].string_param = where
    return request


def with_twin() -> Any:
    request = plain()
    request.inputs.add(name="text_input", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.append(request.raw_input_contents[0])
    return request


def with_both_contents() -> Any:
    request = plain()
    request.inputs[0].contents.bytes_contents.append(b"a")
    return request


def with_raws(count: int) -> Any:
    request = plain(max_tokens=single("INT32", 3))
    raws = [*request.raw_input_contents, b""][:count]
    del request.raw_input_contents[:]
    request.raw_input_contents.extend(raws)
    return request


def with_wrong_contents() -> Any:
    request = plain()
    del request.raw_input_contents[:]
    request.inputs[0].contents.int_contents.append(3)
    return request


def with_output(name: str, parameter: str | None = None) -> Any:
    request = plain()
    output = request.outputs.add(name=name)
    if parameter is not None:
        output.parameters[parameter].int64_param = 1
    return request


def with_parameter(name: str, **value: Any) -> Any:
    request = plain()
    for kind, given_value in value.items():
        setattr(request.parameters[name], kind, given_value)
    return request


def tool_of(parameter: bytes) -> str:
    function = b'{"name":"get","parameters":{"a":%s}}' % parameter
    return (b'[{"type":"function","function":%s}]' % function).decode()


def deep(depth: int) -> bytes:
    return b'[{"role":"user","content":' + b"[" * depth + b"]" * depth + b"}]"


EMPTY_FINAL = "triton_enable_empty_final_response"
TWO = (1).to_bytes(4, "little") + b"a" + (1).to_bytes(4, "little") + b"b"
LONG_LIST = orjson.dumps([{"role": "user", "content": "a"}] * 3000).decode()
WRONG: dict[str, tuple[Callable[[], Any], str | None, str]] = {
    "no inputs": (lambda: infer_request("m", {}, ""), None, "exactly one of"),
    "two prompts": (lambda: plain(messages=strings(["[]"])), None, "exactly one of"),
    "unknown": (lambda: plain(zzz=single("INT32", 1)), "zzz", "no input 'zzz'"),
    "long name": (lambda: plain(**{"z" * 999: single("INT32", 1)}), "z" * 64, "no input"),
    "twice": (with_twin, "text_input", "given twice"),
    "batch": (lambda: changed(0, shape=[2, 1], raw=TWO), "text_input", "a batch of 2"),
    "no batch": (lambda: changed(1, shape=[1]), "max_tokens", r"shape \[1\], it must be \[1, 1\]"),
    "no shape": (lambda: changed(1, shape=[]), "max_tokens", "shape"),
    "wide": (lambda: changed(1, shape=[1, 2], raw=bytes(8)), "max_tokens", "shape"),
    "negative": (lambda: changed(1, shape=[1, -1]), "max_tokens", "shape"),
    "type": (lambda: changed(1, datatype="INT64", raw=bytes(8)), "max_tokens", "must be INT32"),
    "no type": (lambda: changed(1, datatype=""), "max_tokens", "must be INT32"),
    "STRING": (lambda: changed(0, datatype="STRING"), "text_input", "must be BYTES"),
    "short": (lambda: changed(1, raw=b"\0"), "max_tokens", "1 bytes, .* 4"),
    "long": (lambda: changed(1, raw=bytes(9)), "max_tokens", "9 bytes, .* 4"),
    "cut string": (lambda: changed(0, raw=b"\xff\0\0\0ab"), "text_input", "as many strings"),
    "cut length": (lambda: changed(0, raw=b"\1"), "text_input", "as many strings"),
    "two strings": (lambda: changed(0, raw=TWO), "text_input", "as many strings"),
    "no string": (lambda: changed(0, raw=b""), "text_input", "as many strings"),
    "many strings": (
        lambda: plain(stop_words=strings(["a"] * (MAX_STRINGS + 1))),
        "stop_words",
        "more than 1024",
    ),
    "shared memory": (lambda: changed(1, shared="x"), "max_tokens", "shared memory"),
    "few raws": (lambda: with_raws(1), None, "1 raw_input_contents for 2"),
    "many raws": (lambda: with_raws(3), None, "3 raw_input_contents for 2"),
    "both": (with_both_contents, "text_input", "beside raw"),
    "other field": (with_wrong_contents, "text_input", "0 values in contents.bytes_contents"),
    "output": (lambda: with_output("zzz"), "zzz", "no output 'zzz'"),
    "classified": (lambda: with_output("text_output", "classification"), "text_output", "class"),
    "shared output": (
        lambda: with_output("text_output", "shared_memory_region"),
        "text_output",
        "shared memory",
    ),
    "final": (lambda: with_parameter(EMPTY_FINAL, string_param="x"), EMPTY_FINAL, "bool_param"),
    "user": (lambda: with_parameter("user", int64_param=3), "user", "string_param"),
    "long user": (lambda: with_parameter("user", string_param="u" * 257), "user", "at most 256"),
    "max_tokens": (
        lambda: plain(max_tokens=single("INT32", -5)),
        "max_tokens",
        "is -5, it must be at least 1",
    ),
    "n": (
        lambda: plain(num_return_sequences=single("INT32", 99)),
        "num_return_sequences",
        "at most 16",
    ),
    "no n": (
        lambda: plain(num_return_sequences=single("INT32", 0)),
        "num_return_sequences",
        "at least 1",
    ),
    "messages": (
        lambda: infer_request("m", {"messages": strings([LONG_LIST])}, ""),
        "messages",
        "3000 entries",
    ),
    "deep tools": (
        lambda: plain(tools=strings([tool_of(deep(200))])),
        "tools",
        "nested more than",
    ),
    "deep messages": (
        lambda: infer_request("m", {"messages": strings([deep(200).decode()])}, ""),
        "messages",
        "more than 64 levels",
    ),
    "deep format": (
        lambda: plain(
            response_format=strings(['{"a":' * 200 + "1" + "}" * 200]),
            guided_decoding_guide_type=strings(["json"]),
        ),
        "response_format",
        "more than 64 levels",
    ),
    "broken format": (
        lambda: plain(
            response_format=strings(["[" * 200]), guided_decoding_guide_type=strings(["json"])
        ),
        "response_format",
        "not JSON",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_mistake_is_a_bad_request_that_names_it(name: str) -> None:
    make, param, words = WRONG[name]
    with pytest.raises(InvalidRequest, match=words) as refused:
        asked(make())
    assert refused.value.param == param
    assert len(refused.value.message) < 200


def test_a_unary_call_has_one_response() -> None:
    assert asked(plain(), is_unary=True).text == "hello"
    for more in ({"stream": single("BOOL", True)}, {"num_return_sequences": single("INT32", 2)}):
        with pytest.raises(InvalidRequest, match="ModelStreamInfer"):
            asked(plain(**more), is_unary=True)


def test_what_no_engine_honours_is_refused_here_already() -> None:
    with pytest.raises(UnsupportedParameter, match="beam_width"):
        asked(plain(beam_width=single("INT32", 4)))


SHAPES = st.lists(st.integers(-2, 2**40), max_size=4)
NAMES = st.sampled_from(["text_input", "max_tokens", "input_ids", "stop_words", "stream", "x", ""])
DATATYPES = st.sampled_from(["BYTES", "INT32", "BOOL", "FP32", "UINT64", "FP16", "", "x"])
TENSORS = st.tuples(NAMES, DATATYPES, SHAPES, st.none() | st.binary(max_size=12))


@given(st.lists(TENSORS, max_size=3))
def test_nothing_that_is_sent_is_a_defect(tensors: list[Any]) -> None:
    request = service_pb2.ModelInferRequest(model_name="m")
    for name, datatype, shape, raw in tensors:
        tensor = request.inputs.add(name=name, datatype=datatype, shape=shape)
        if raw is None:
            tensor.contents.int_contents.append(1)
        else:
            request.raw_input_contents.append(raw)
    with suppress(InvalidRequest):
        asked(request)
