import pytest

from serving.guardrails.beginnings import ANYTHING, beginnings
from serving.guardrails.patterns import Pattern


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("abc", "abc"),
        ("a(?:b|cd)e", "acde"),
        (r"x{2,4}y+?z*", "xxxyyzz"),
        (r"(?i)fox\s+\x41[^a-c]{3}", "Fox  aXYZ"),
        (r"(?P<n>a|b)?[]x\]]\p{Greek}", "b]α"),
        (r"\bone (?:two )*three$", "one two two three"),
        (r"a{3}b|c{0,2}d", "aaab"),
        (r"a{50}z", "a" * 50 + "z"),
        (r"{x}\{", "{x}{"),
        ("(?:a|(?:b(?:c|d))){2,}e", "abcbde"),
    ],
)
def test_every_beginning_of_a_match_matches(pattern: str, text: str) -> None:
    begins = Pattern(rf"^(?:{beginnings(pattern, 'w')})\z")
    assert all(begins.first(text[:length]) for length in range(1, len(text) + 1))
    assert begins.first(text + "www")


def test_other_texts_are_no_beginnings() -> None:
    begins = Pattern(rf"^(?:{beginnings('ab{2}c', 'w')})\z")
    assert not any(begins.first(text) for text in ("b", "ac", "abc", "abbb", "abbcx"))


def test_a_pattern_nested_too_deep_may_begin_anywhere() -> None:
    assert beginnings("(" * 40 + "a" + ")*" * 40, "w") == ANYTHING
