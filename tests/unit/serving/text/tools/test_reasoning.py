"""What a model thinks at the beginning of its text is told apart, however it is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.text.tools.json_tags import JSON_TAGS
from serving.text.tools.reading import Reading, Said
from serving.text.tools.reasoning import ReasoningSplit

CUTS = st.lists(st.integers(0, 60), max_size=8)
SHARDS = st.lists(
    st.sampled_from(["<think>", "</think>", "<thi", "</th", "\n", " ", "a", "é"]), max_size=12
).map("".join)


def split(parts, *, is_open=False):
    splitter = ReasoningSplit(is_open=is_open)
    said = [*(splitter.push(part) for part in parts), splitter.end()]
    return "".join(reasoning for reasoning, _ in said), "".join(rest for _, rest in said)


@pytest.mark.parametrize(
    ("text", "is_open", "expected"),
    [
        ("<think>\nhm\n</think>\n\nYes.", False, ("hm\n", "Yes.")),
        ("hm</think>Yes.", True, ("hm", "Yes.")),
        ("hm</think>Yes.", False, ("", "hm</think>Yes.")),
        ("<think></think>Yes.", False, ("", "Yes.")),
        ("Yes <think>no</think>", False, ("", "Yes <think>no</think>")),
        ("<think>hm", False, ("hm", "")),
        ("<think>a</think>b</think>c", False, ("a", "b</think>c")),
        (" yes", False, ("", " yes")),
        ("<thi", False, ("", "<thi")),
    ],
)
def test_reasoning_is_told_apart(text, is_open, expected):
    assert split(text, is_open=is_open) == expected
    assert split([text], is_open=is_open) == expected


@given(text=SHARDS, cuts=CUTS, is_open=st.booleans())
def test_the_cuts_of_reasoning_change_nothing(text, cuts, is_open):
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    parts = [text[a:b] for a, b in pairwise(edges)]
    assert split(parts, is_open=is_open) == split([text], is_open=is_open)


def test_there_are_no_calls_in_reasoning():
    call = '<tool_call>{"name":"get","arguments":{}}</tool_call>'
    reading = Reading(ReasoningSplit(is_open=False), JSON_TAGS, ("get",))
    said = sum((reading.push(c) for c in f"<think>{call}</think>\nWell.{call}"), Said())
    said += reading.end()
    assert (said.content, said.reasoning) == ("Well.", call)
    assert [(c.index, c.name, c.arguments) for c in said.calls] == [(0, "get", "{}")]
    assert reading.has_whole_call
