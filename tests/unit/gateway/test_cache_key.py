"""The key of an answer: equal where requests are, another wherever an answer could be another."""

from dataclasses import fields, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.cache_key import Maker, key_of
from serving.contract.calls import Call, Guide, Sampling, Timeouts
from serving.contract.tools import NamedTool, ToolChoice

MAKER = Maker("project=acme/web", "demo", "v1", "pirate", "1-7", "default@abc", ("read",))
TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
CALL = Call(
    text="a",
    input_ids=(1, 2),
    messages=({"role": "user", "content": "hi"},),
    sampling=Sampling(*([1] * 10), stop=("x",), bad_words=("y",)),
    guide=Guide("regex", "a+"),
    tools=(TOOL,),
    tool_choice=ToolChoice.AUTO,
)
OTHERS: dict[str, tuple[Any, ...]] = {
    "text": (None, "b", "a "),
    "input_ids": (None, (1,), (2, 1)),
    "messages": (None, (), ({"role": "system", "content": "hi"},), ({"role": "user"},)),
    "guide": (None, Guide("json", "a+"), Guide("regex", "a*")),
    "tools": (None, (TOOL, TOOL), ({**TOOL, "strict": True},)),
    "tool_choice": (None, ToolChoice.NONE, NamedTool("auto"), NamedTool("read")),
    "n": (2,),
    "is_echoed": (True,),
    "has_logprobs": (True,),
}
SAME: dict[str, Any] = {
    "adapter": "pirate",
    "is_streamed": True,
    "grant": "signed",
    "guardrails": "{}",
    "session": "acme/web/s",
    "priority": "batch",
    "deadline_ms": 9,
    "timeouts": Timeouts(1),
    "has_engine_times": True,
    "has_token_counts": True,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=5), json_values, max_size=4)


def key(call: Call = CALL, maker: Maker = MAKER) -> str:
    return key_of((call,), maker)


def test_every_field_of_a_call_is_known_to_change_its_answer_or_not():
    named = OTHERS.keys() | SAME.keys() | {"sampling"}
    assert named == {field.name for field in fields(Call)}


def test_another_value_of_a_field_is_another_key():
    for name, values in OTHERS.items():
        keys = {key(replace(CALL, **{name: value})) for value in values}
        assert len(keys | {key()}) == len(values) + 1, name


def test_when_and_for_whom_it_is_answered_makes_no_difference():
    for name, value in SAME.items():
        assert key(replace(CALL, **{name: value})) == key(), name


def test_every_field_of_sampling_counts():
    for field in fields(Sampling):
        other = ("z",) if field.name in ("stop", "bad_words") else 2
        changed = replace(CALL.sampling, **{field.name: other})
        assert key(replace(CALL, sampling=changed)) != key(), field.name
        unsaid = () if field.name in ("stop", "bad_words") else None
        absent = replace(CALL.sampling, **{field.name: unsaid})
        assert key(replace(CALL, sampling=absent)) != key(), field.name


def test_whoever_answers_counts():
    for field in fields(Maker):
        other = () if field.name == "tools" else "other"
        assert key(maker=replace(MAKER, **{field.name: other})) != key(), field.name
    assert key(maker=replace(MAKER, tools=None)) != key(maker=replace(MAKER, tools=()))


def test_numbers_that_json_has_no_word_for_are_told_apart():
    odd = {
        key(replace(CALL, sampling=Sampling(temperature=value)))
        for value in (None, float("nan"), float("inf"), 0.0)
    }
    assert len(odd) == 4


def test_prompts_count_in_their_order():
    first, second = Call(text="a"), Call(text="b")
    keys = {key_of(calls, MAKER) for calls in [(first,), (first, second), (second, first)]}
    assert len(keys) == 3


@given(st.lists(objects, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_names_makes_no_difference(messages, random):
    def shuffled(value: Any) -> Any:
        if isinstance(value, list):
            return [shuffled(each) for each in value]
        if not isinstance(value, dict):
            return value
        items = [(name, shuffled(each)) for name, each in value.items()]
        random.shuffle(items)
        return dict(items)

    other = tuple(shuffled(message) for message in messages)
    assert key(replace(CALL, messages=tuple(messages))) == key(replace(CALL, messages=other))


@given(st.lists(objects, max_size=2), st.lists(objects, max_size=2))
def test_other_messages_have_another_key(first, second):
    are_equal = repr(_sorted(first)) == repr(_sorted(second))
    keys = [key(replace(CALL, messages=tuple(each))) for each in (first, second)]
    assert (keys[0] == keys[1]) is are_equal


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(each) for each in value]
    if isinstance(value, dict):
        return sorted((name, _sorted(each)) for name, each in value.items())
    return value
