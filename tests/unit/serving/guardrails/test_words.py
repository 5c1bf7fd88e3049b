import time

import pytest

from serving.contract.errors import InvalidRequest
from serving.guardrails.words import Words


@pytest.mark.parametrize(
    "text",
    [
        "Blue Whale",
        "BLUE\n whale",
        "blue wh\u0430le",
        "ｂｌｕｅ whale",
        "blu\u00e9 whale",
        "blue wha\u200ble",
    ],
)
def test_a_phrase_is_found_however_it_is_written(text: str) -> None:
    found = Words(("blue whale",)).find(f"a {text}!")
    assert [(finding.begin, finding.end) for finding in found] == [(2, 2 + len(text))]


def test_a_phrase_is_of_whole_words() -> None:
    words = Words(("oak", "牛"))
    assert not words.find("soak oaks")
    assert len(words.find("oak (oak) 水牛车")) == 3


def test_patterns_meet_the_text_in_any_case_and_overlaps_are_one() -> None:
    found = Words(("fox",), (r"f.x jumps",)).find("The FOX jumps")
    assert [(finding.begin, finding.end) for finding in found] == [(4, 13)]


@pytest.mark.parametrize("pattern", ["(", r"(?=a)", r"(a)\1", "a**"])
def test_a_pattern_that_is_not_re2s_is_named(pattern: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        Words((), (pattern,))
    assert repr(pattern) in raised.value.message


def test_a_phrase_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="no word"):
        Words((" \u200b",))


def test_a_catastrophic_pattern_is_linear() -> None:
    words = Words((), (r"(a+)+$", r"(a|aa)+b", r"(.*a){12}"))
    began_s = time.process_time()
    words.find("a" * 100_000 + "!")
    assert time.process_time() - began_s < 1
