"""Every documented parameter is honoured, or refused by its name."""

from typing import Any

import pytest

from gateway.api.chat_schema import chat_ask
from gateway.api.completions_schema import completions_ask
from gateway.settings import GatewaySettings
from serving.contract.calls import Call, Guide, Sampling
from serving.contract.errors import InvalidRequest, UnsupportedParameter

SETTINGS = GatewaySettings(api_key="sk", max_messages=4, max_prompts=3, max_choices=4)
STRICT = SETTINGS.model_copy(update={"strict": True})
HI = [{"role": "user", "content": "hi"}]
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def chat(settings: GatewaySettings = SETTINGS, **body: Any) -> Call:
    (call,) = chat_ask({"model": "m", "messages": HI, **body}, settings).calls
    return call


def complete(**body: Any) -> tuple[Call, ...]:
    return completions_ask({"model": "m", "prompt": "hi", **body}, SETTINGS).calls


def test_sampling_parameters_reach_the_call() -> None:
    given: dict[str, Any] = {
        "max_tokens": 9, "min_tokens": 2, "temperature": 0.5, "top_k": 40, "top_p": 0.9,
        "repetition_penalty": 1.1, "presence_penalty": -1, "frequency_penalty": 2, "seed": 7,
    }  # fmt: skip
    assert chat(**given, stop="a").sampling == Sampling(**given, stop=("a",))
    assert complete(**given, stop=["a", "b"])[0].sampling == Sampling(**given, stop=("a", "b"))


def test_what_is_left_open_stays_open() -> None:
    assert chat().sampling == Sampling()
    assert chat(temperature=None, stop=None, n=None, tools=None, logit_bias=None) == chat()


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"seed": -1}, "seed", 2**64 - 1),
        ({"seed": 2**64 - 1}, "seed", 2**64 - 1),
        ({"top_p": 0}, "top_k", 1),
        ({"top_k": -1}, "top_k", 0),
        ({"max_completion_tokens": 3}, "max_tokens", 3),
        ({"max_completion_tokens": 3, "max_tokens": 3}, "max_tokens", 3),
        ({"stop": []}, "stop", ()),
    ],
)
def test_values_that_the_engine_words_differently(
    given: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(chat(**given).sampling, field) == value


def test_answer_options_reach_the_call() -> None:
    call = chat(n=3, stream=True, logprobs=True, top_logprobs=0)
    assert (call.n, call.is_streamed, call.has_logprobs) == (3, True, True)
    (call,) = complete(n=2, best_of=2, echo=True, suffix="")
    assert (call.n, call.is_echoed, call.has_logprobs) == (2, True, False)
    assert complete(logprobs=0)[0].has_logprobs


def test_response_format_becomes_a_guide() -> None:
    assert chat(response_format={"type": "text"}).guide is None
    assert chat(response_format={"type": "json_object"}).guide == Guide("json")
    schema = {"name": "s", "schema": {"type": "object"}}
    guide = chat(response_format={"type": "json_schema", "json_schema": schema}).guide
    assert guide == Guide("json_schema", '{"type":"object"}')


@pytest.mark.parametrize(
    "given",
    [
        {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto"},
        {"tools": [], "parallel_tool_calls": True, "modalities": ["text"], "logit_bias": {}},
        {"prompt_cache_key": "k", "safety_identifier": "s", "verbosity": "medium"},
        {"unknown": 1},
    ],
)
def test_accepted_parameters_change_nothing(given: dict[str, Any]) -> None:
    assert chat(**given) == chat()


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("logit_bias", {"1": 2}),
        ("top_logprobs", 1), ("top_logprobs", False), ("audio", {"voice": "x"}),
        ("modalities", ["audio"]), ("prediction", {"type": "content"}),
        ("reasoning_effort", "high"), ("web_search_options", {}), ("verbosity", "low"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(param: str, value: object) -> None:
    with pytest.raises(UnsupportedParameter, match=f"'{param}'") as caught:
        chat(**{param: value})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("param", "value"),
    [("best_of", 2), ("suffix", "x"), ("logprobs", 1), ("logit_bias", {"1": 1})],
)
def test_completions_refuse_by_name(param: str, value: object) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        complete(**{param: value})
    assert caught.value.param == param


def test_logprobs_of_an_echo_are_refused() -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        complete(echo=True, logprobs=0)
    assert caught.value.param == "logprobs"


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 0), ("n", 5), ("n", "1"), ("n", True), ("max_tokens", 0), ("max_tokens", 2**31),
        ("max_tokens", 1.0), ("max_completion_tokens", -1), ("temperature", 2.1),
        ("temperature", "1"), ("temperature", True), ("temperature", float("nan")),
        ("top_p", 1.01), ("top_p", -0.1), ("top_k", -2), ("presence_penalty", 3),
        ("frequency_penalty", -2.5), ("repetition_penalty", 0), ("min_tokens", -1),
        ("seed", 2**64), ("seed", -(2**63) - 1), ("seed", 1.5), ("stream", "yes"),
        ("stop", 7), ("user", 7), ("metadata", {"a": 1}), ("response_format", {"type": "xml"}),
        ("logprobs", 1), ("model", ""), ("model", 7), ("messages", []), ("messages", "hi"),
    ],
)  # fmt: skip
def test_wrong_value_is_refused_with_its_field(param: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat(**{param: value})
    # `metadata.a` and the like say where in the field it is.
    assert (caught.value.param or "").startswith(param.split("_tokens")[0])


@pytest.mark.parametrize("stop", ["", ["a"] * 5, ["a", ""], ["a", 1]])
def test_stop_strings_are_at_most_four_and_not_empty(stop: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat(stop=stop)
    assert (caught.value.param or "").startswith("stop")


def test_two_different_limits_contradict() -> None:
    with pytest.raises(InvalidRequest, match="3 and 'max_completion_tokens' is 4"):
        chat(max_tokens=3, max_completion_tokens=4)


def test_stream_options_need_a_stream() -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat(stream_options={"include_usage": True})
    assert caught.value.param == "stream_options"


def test_strict_mode_names_the_unknown_parameter() -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat(STRICT, typo=1)
    assert caught.value.param == "typo"


@pytest.mark.parametrize("name", ["model", "messages"])
def test_missing_field_is_named(name: str) -> None:
    body = {"model": "m", "messages": HI}
    del body[name]
    with pytest.raises(InvalidRequest, match=f"'{name}' is required"):
        chat_ask(body, SETTINGS)


def test_messages_reach_the_template_with_their_roles() -> None:
    call = chat_of(
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "1", "name": "f"},
    )
    assert call.messages == (
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "ab"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "42", "tool_call_id": "1", "name": "f"},
    )


def chat_of(*messages: dict[str, Any]) -> Call:
    return chat(messages=list(messages))


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "robot", "content": "x"}, "messages[0].role"),
        ({"role": "user"}, "messages[0]"),
        ({"role": "user", "content": 7}, "messages[0].content"),
        ({"role": "user", "content": ["x"]}, "messages[0].content"),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[0].content"),
        ("x", "messages[0]"),
    ],
)
def test_wrong_message_is_refused_with_its_place(message: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat_of(message)
    assert caught.value.param == param


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "file"])
def test_other_content_parts_are_refused_by_name(kind: str) -> None:
    with pytest.raises(UnsupportedParameter, match=f"part 1 is of type {kind}") as caught:
        chat_of({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": kind}]})
    assert caught.value.param == "messages[0].content"


def test_too_many_messages_are_refused_before_they_are_read() -> None:
    with pytest.raises(InvalidRequest, match="10000 entries, it can have at most 4"):
        chat(messages=["not read"] * 10_000)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("hi", [("hi", None)]),
        ([1, 2], [(None, (1, 2))]),
        (["a", "b"], [("a", None), ("b", None)]),
        ([[1], [2, 3]], [(None, (1,)), (None, (2, 3))]),
        (["a", [1]], [("a", None), (None, (1,))]),
    ],
)
def test_every_prompt_is_a_call_of_its_own(prompt: Any, expected: list[Any]) -> None:
    assert [(call.text, call.input_ids) for call in complete(prompt=prompt)] == expected


@pytest.mark.parametrize(
    "prompt",
    [None, 7, [], {}, [None], [1, "a"], [-1], [2**31], [1.0], [True], [[]], [["a"]], ["a"] * 4],
)
def test_wrong_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        complete(prompt=prompt)
    assert caught.value.param == "prompt"
